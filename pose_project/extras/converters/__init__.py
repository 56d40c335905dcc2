"""Keypoint datasets from and into other formats."""

from pose_project.extras.converters.coco_to_yolo import coco_to_yolo
from pose_project.extras.converters.yolo_to_coco import yolo_to_coco

__all__ = ["coco_to_yolo", "yolo_to_coco"]
