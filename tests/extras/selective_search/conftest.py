"""A dataset of three photos with shapes in them, for which proposals take a moment."""

from pathlib import Path

import cv2
import numpy as np
import pytest


def shapes_photo(seed: int, height: int = 90, width: int = 120) -> np.ndarray:
    """(H, W, 3) uint8 BGR: a red and a blue rectangle on a noisy green ground."""
    rng = np.random.default_rng(seed)
    photo = np.full((height, width, 3), (60, 150, 60), np.uint8)
    cv2.rectangle(photo, (10, 20), (39, 69), (30, 30, 200), -1)
    cv2.rectangle(photo, (60, 30), (99, 59), (200, 60, 30), -1)
    return np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> list[dict]:
    """Dataset dicts of three readable photos."""
    dicts = []
    for image_id in (7, 8, 9):
        file = tmp_path / "photos" / f"{image_id}.png"
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), shapes_photo(image_id))
        dicts.append({"image_id": image_id, "file_name": str(file), "height": 90, "width": 120})
    return dicts
