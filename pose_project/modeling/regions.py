"""Room around people: the region of a photo that a keypoint head looks at.

A box ends where a detector thinks that the person does, and neither the loss nor decoding reaches a
keypoint beyond it. The region is the box enlarged about its centre. Targets, pooling, decoding,
further views and exported graphs all take it from here.
"""

import torch
from detectron2.structures import Boxes
from torch import Tensor, nn


def enlarge(boxes: Tensor, scale: float) -> Tensor:
    """Return (R, 4) boxes, XYXY_ABS, ``scale`` times as wide and high about the same centres.

    They may reach beyond the photo; 1 returns the boxes themselves, and ``1 / scale`` undoes it.
    """
    if scale == 1:
        return boxes
    grown = (boxes[:, 2:] - boxes[:, :2]) * ((scale - 1) / 2)
    return torch.cat([boxes[:, :2] - grown, boxes[:, 2:] + grown], dim=1)


def keypoint_regions(heads: nn.Module, boxes: list[Boxes]) -> list[Boxes]:
    """Return what ``heads`` pool the keypoint features of, a :class:`Boxes` for each photo."""
    return [Boxes(enlarge(each.tensor, region_scale_of(heads))) for each in boxes]


def region_scale_of(heads: nn.Module) -> float:
    """Return the factor of :func:`enlarge`: 1 for heads of Detectron2."""
    return getattr(heads, "region_scale", 1.0)
