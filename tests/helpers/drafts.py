"""Drafts as pre-annotate makes them, of people who are known."""

from pathlib import Path
from typing import Any

import numpy as np

from pose_project.extras.labelling.predictions import to_draft
from pose_project.inference import Poses
from pose_project.inference.sources import Source
from pose_project.structures import COCO_PERSON

CATEGORIES = [COCO_PERSON.to_coco_category(1, "person")]
SIZE_HW = (240, 320)


def random_poses(seed: int, num_people: int, size_hw: tuple[int, int] = SIZE_HW) -> Poses:
    """Return people with keypoints anywhere in an image, and any probabilities."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    corners = rng.uniform(0, 0.4, (num_people, 2)) * (width, height)
    boxes = np.concatenate([corners, corners + rng.uniform(40, 120, (num_people, 2))], axis=1)
    inside = rng.uniform(0, 1, (num_people, 17, 2))
    xy = boxes[:, None, :2] + inside * (boxes[:, 2:] - boxes[:, :2])[:, None]
    scores = rng.uniform(0, 1, (num_people, 17, 1))
    return Poses(
        size_hw,
        boxes.astype(np.float32),
        rng.uniform(0.5, 1, num_people).astype(np.float32),
        np.zeros(num_people, np.int64),
        np.concatenate([xy, scores], axis=2).astype(np.float32),
    )


def random_draft(seed: int = 0, counts: tuple[int, ...] = (2, 0, 3)) -> dict[str, Any]:
    """Return a draft of photos with so many people, one of them in a folder."""
    names = [f"{'' if i else 'a b/'}photo_{i}.jpg" for i in range(len(counts))]
    found = [
        (Source(Path("/photos") / name, name), random_poses(seed + i, count))
        for i, (name, count) in enumerate(zip(names, counts, strict=True))
    ]
    return to_draft(found, CATEGORIES, COCO_PERSON, threshold=0.5)
