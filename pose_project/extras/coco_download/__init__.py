"""COCO 2017, fetched, unpacked and checked."""

from pose_project.extras.coco_download.coco import (
    COCO_2017,
    COCO_SERVER,
    Archive,
    Dataset,
    Split,
    download_coco,
)
from pose_project.extras.coco_download.fetch import RetryPolicy
from pose_project.extras.coco_download.statistics import statistics_table
from pose_project.extras.coco_download.verify import check_coco

__all__ = [
    "COCO_2017",
    "COCO_SERVER",
    "Archive",
    "Dataset",
    "RetryPolicy",
    "Split",
    "check_coco",
    "download_coco",
    "statistics_table",
]
