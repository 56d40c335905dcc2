"""Seeded photos of simple synthetic people with exact keypoints, as a COCO dataset on disk."""

from pose_project.extras.synthetic.generation import ensure_synthetic_dataset, synthetic_photo
from pose_project.extras.synthetic.levels import LEVELS, Level

__all__ = ["LEVELS", "Level", "ensure_synthetic_dataset", "synthetic_photo"]
