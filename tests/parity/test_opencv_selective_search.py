"""Recall against OpenCV's selective search, which is in opencv-contrib-python alone.

    python -m pytest -s tests/parity/test_opencv_selective_search.py

prints recall and seconds of both, as in docs/proposals.md. That package takes the place of
opencv-python, so give it an environment of its own.
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pose_project.data import get_dataset_dicts, register_keypoint_dataset
from pose_project.data.image_reading import read_photo
from pose_project.extras.selective_search.recall import proposal_recall
from pose_project.extras.selective_search.search import MAX_SIDE, MODES, selective_search

segmentation = getattr(getattr(cv2, "ximgproc", None), "segmentation", None)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(segmentation is None, reason="this OpenCV has no cv2.ximgproc"),
]
LIMITS = (100, 500, 1000, 2000, 10_000)


def opencv_search(image: np.ndarray, mode: str) -> np.ndarray:
    """(N, 4) XYXY_ABS of OpenCV, on a photo of the same size as ours."""
    scale = min(1.0, MAX_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(small)
    modes = {
        "fast": search.switchToSelectiveSearchFast,
        "quality": search.switchToSelectiveSearchQuality,
    }
    modes[mode]()
    boxes = search.process().astype(np.float32) / scale
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def measure(search: Callable, photos: list[dict], mode: str) -> tuple[dict[int, float], float]:
    images = [read_photo(dict(photo), "BGR") for photo in photos]
    start = time.perf_counter()
    proposals = [search(image, mode) for image in images]
    seconds = (time.perf_counter() - start) / len(photos)
    return proposal_recall(proposals, photos, LIMITS), seconds


def compare(photos: list[dict], mode: str) -> None:
    people = sum(not each["iscrowd"] for photo in photos for each in photo["annotations"])
    print(f"\n{len(photos)} photos, {people} people, {mode}, recall at {LIMITS} proposals")

    def ours(image: np.ndarray, mode: str) -> np.ndarray:
        return selective_search(image, mode, limit=LIMITS[-1])

    recalls = {}
    for name, search in (("ours", ours), ("OpenCV", opencv_search)):
        recalls[name], seconds = measure(search, photos, mode)
        row = " ".join(f"{recall:6.1f}" for recall in recalls[name].values())
        print(f"{name:7} {row}  {seconds:.2f} s a photo")
    assert recalls["ours"][2000] >= 0.9 * recalls["OpenCV"][2000]


@pytest.mark.parametrize("mode", MODES)
def test_synthetic_photos(mode):
    pytest.importorskip("skimage", reason="selective search needs scikit-image")
    compare(get_dataset_dicts("synthetic_full_val_20"), mode)


@pytest.mark.parametrize("mode", MODES)
def test_real_photos(mode, test_data):
    pytest.importorskip("skimage", reason="selective search needs scikit-image")
    coco = test_data / "coco"
    json_file = coco / "annotations" / "person_keypoints_val2017.json"
    register_keypoint_dataset("real_val", json_file, coco / "val2017")
    compare(get_dataset_dicts("real_val"), mode)
