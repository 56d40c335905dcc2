"""Overlap of boxes as NumPy arrays, element by element.

XYXY_ABS, continuous: the sides are x1 - x0 and y1 - y0. Tensors have Detectron2's ``pairwise_iou``.
"""

import numpy as np


def shared_area(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area that (..., 4) boxes share with (..., 4) others, which broadcast."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    return np.maximum(high - low, 0).prod(axis=-1)


def box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes and others, which broadcast; 0 of empty boxes.

    >>> box_iou(np.array([0.0, 0.0, 4.0, 2.0]), np.array([[2.0, 0.0, 6.0, 2.0]])).round(3).tolist()
    [0.333]
    """
    shared = shared_area(boxes, others)
    areas = [(each[..., 2:] - each[..., :2]).prod(axis=-1) for each in (boxes, others)]
    union = sum(areas) - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
