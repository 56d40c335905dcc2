"""People of two looks at a photo: who is who, how alike their poses are, how sure a pose is.

Letters: N and M people, K keypoints. Coordinates are continuous, in pixels.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from pose_project.structures.boxes import box_iou
from pose_project.structures.oks import AREA_SHARE

LEAST_IOU = 0.5
"""Boxes that overlap less are those of two people."""


def match_boxes(
    boxes: np.ndarray, others: np.ndarray, least_iou: float = LEAST_IOU
) -> list[tuple[int, int]]:
    """Return pairs of (N, 4) and (M, 4) boxes, XYXY, each in one pair at most.

    The sum of the overlaps is the largest there is; pairs below ``least_iou`` are left out.

    >>> match_boxes(np.array([[0, 0, 9, 9.0]]), np.array([[50, 0, 60, 9], [1, 0, 9, 9.0]]))
    [(0, 1)]
    """
    overlaps = box_iou(boxes[:, None], others[None])
    rows, columns = linear_sum_assignment(-np.where(overlaps >= least_iou, overlaps, 0))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if overlaps[row, column] >= least_iou]


def areas_of(boxes: np.ndarray) -> np.ndarray:
    """Return (N,) square pixels of people of whom only the boxes are known, (N, 4) XYXY."""
    return AREA_SHARE * np.maximum(boxes[:, 2:] - boxes[:, :2], 1).prod(axis=1)


def expected_similarity(covariances: np.ndarray, area: float, sigmas: np.ndarray) -> np.ndarray:
    """Return (K,) what a truth that is spread like this lets expect of OKS, in 0-1.

    For d from a normal distribution with covariance C, the mean of exp(-d^2 / (2 s^2)), with
    s = 2 sigma sqrt(area), is det(I + C / s^2)^(-1/2).

    Args:
        covariances: (K, 2, 2) px^2.
        area: of the person, square pixels.
        sigmas: (K,) COCO's constants.
    """
    scaled = covariances / ((2 * sigmas) ** 2 * area)[:, None, None]
    return np.linalg.det(np.eye(2) + scaled) ** -0.5
