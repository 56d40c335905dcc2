"""Datasets by name, the mapper, and loaders whose order is a function of seed and position."""

from pose_project.data.catalog import (
    count_classes,
    count_keypoints,
    create_hflip_indices,
    get_categories,
    get_dataset_dicts,
    get_schema,
    register_keypoint_dataset,
    resolve_dataset,
)
from pose_project.data.loader import build_train_loader
from pose_project.data.mapper import KeypointMapper

__all__ = [
    "KeypointMapper",
    "build_train_loader",
    "count_classes",
    "count_keypoints",
    "create_hflip_indices",
    "get_categories",
    "get_dataset_dicts",
    "get_schema",
    "register_keypoint_dataset",
    "resolve_dataset",
]
