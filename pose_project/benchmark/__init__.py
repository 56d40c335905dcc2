"""Measurements of this project's parts: at the sizes that its users have, and against peers."""

from pose_project.benchmark.coco_size import measure_dataset, write_coco_sized_json
from pose_project.benchmark.compare import Comparison, Difference, compare
from pose_project.benchmark.decoding_speed import measure_decoding
from pose_project.benchmark.evaluation_speed import measure_evaluation
from pose_project.benchmark.loading_speed import measure_loading
from pose_project.benchmark.report import write_report

__all__ = [
    "Comparison",
    "Difference",
    "compare",
    "measure_dataset",
    "measure_decoding",
    "measure_evaluation",
    "measure_loading",
    "write_coco_sized_json",
    "write_report",
]
