"""COCO 2017, fetched, unpacked and checked."""

from pose_project.data.download.check import check_coco
from pose_project.data.download.coco import (
    COCO_2017,
    COCO_SERVER,
    Archive,
    Dataset,
    Split,
    download_coco,
)
from pose_project.data.download.fetch import Patience
from pose_project.data.download.statistics import statistics_table

__all__ = [
    "COCO_2017",
    "COCO_SERVER",
    "Archive",
    "Dataset",
    "Patience",
    "Split",
    "check_coco",
    "download_coco",
    "statistics_table",
]
