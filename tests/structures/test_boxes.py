import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import Boxes, pairwise_iou
from torch import from_numpy

from pose_project.structures.boxes import box_iou, shared_area


def random_boxes(count: int, seed: int) -> np.ndarray:
    corners = np.random.default_rng(seed).integers(0, 40, (count, 2, 2)).astype(float)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def test_same_as_the_libraries() -> None:
    """Boxes on whole pixels, so that some are empty and some only touch."""
    ours = box_iou(random_boxes(200, 0)[:, None], random_boxes(100, 1))
    boxes = [Boxes(from_numpy(random_boxes(*each))) for each in ((200, 0), (100, 1))]
    np.testing.assert_allclose(ours, pairwise_iou(*boxes).numpy(), atol=1e-12)
    xywh = [
        np.hstack([each[:, :2], each[:, 2:] - each[:, :2]])
        for each in (random_boxes(200, 0), random_boxes(100, 1))
    ]
    theirs = mask_util.iou(*xywh, np.zeros(100, np.uint8))
    np.testing.assert_allclose(ours, np.nan_to_num(theirs), atol=1e-12)
    assert (ours > 0).any() and (ours == 0).any()


def test_one_box_with_many_and_with_none() -> None:
    box = np.array([0.0, 0.0, 4.0, 2.0])
    others = np.array([[0.0, 0.0, 4.0, 2.0], [2.0, 1.0, 6.0, 3.0], [4.0, 0.0, 8.0, 2.0], [1.0] * 4])
    assert shared_area(box, others).tolist() == [8, 2, 0, 0]
    np.testing.assert_allclose(box_iou(box, others), [1, 2 / 14, 0, 0])
    assert box_iou(box, np.zeros((0, 4))).shape == (0,)
    assert box_iou(others[3], others[3]) == 0  # empty, with itself
