"""Annotations made for a test."""

import numpy as np


def person(
    image_id: int = 1, annotation_id: int = 1, num_keypoints: int = 17, **changes: object
) -> dict:
    """One annotation with every keypoint visible on a diagonal through its box."""
    ramp = np.linspace(12, 40, num_keypoints)
    keypoints = np.stack([ramp, ramp + 5, np.full(num_keypoints, 2)], axis=1)
    annotation = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [10, 15, 34, 34],
        "area": 900.0,
        "num_keypoints": num_keypoints,
        "keypoints": keypoints.flatten().tolist(),
    }
    return {**annotation, **changes}
