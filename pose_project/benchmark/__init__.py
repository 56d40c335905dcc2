"""Measurements of this project's parts at the sizes that its users have."""

from pose_project.benchmark.coco_size import measure_dataset, write_coco_sized_json

__all__ = ["measure_dataset", "write_coco_sized_json"]
