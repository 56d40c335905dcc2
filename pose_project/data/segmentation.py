"""``segmentation`` of COCO's annotations: which of them is a mask."""

import math
from typing import Any

from pycocotools import mask as mask_util

_SMALLEST_POLYGON = 6  # numbers: three points


def usable_segmentation(
    segmentation: Any, image_size_hw: tuple[int, int]
) -> list[list[float]] | dict[str, Any] | None:
    """Return the mask of an instance as polygons or a compressed RLE; None if there is none.

    Args:
        segmentation: of a COCO JSON: polygons as (x, y, x, y, ...), of which those of fewer than
            three points or an odd number of values are left out; or an RLE.
        image_size_hw: of its image, which an RLE must have.
    """
    if isinstance(segmentation, dict):
        return _usable_rle(segmentation, image_size_hw)
    if not isinstance(segmentation, list):
        return None
    return [each for each in segmentation if _is_polygon(each)] or None


def _is_polygon(values: Any) -> bool:
    if not isinstance(values, list) or len(values) < _SMALLEST_POLYGON or len(values) % 2:
        return False
    return {int, float}.issuperset(map(type, values)) and math.isfinite(sum(values))


def _usable_rle(rle: dict[str, Any], image_size_hw: tuple[int, int]) -> dict[str, Any] | None:
    counts, size = rle.get("counts"), rle.get("size")
    if not isinstance(size, list) or tuple(size) != image_size_hw:
        return None
    if isinstance(counts, str):
        return rle
    if not isinstance(counts, list) or not all(type(each) is int and each >= 0 for each in counts):
        return None
    return mask_util.frPyObjects(rle, *size) if sum(counts) == size[0] * size[1] else None


def box_mask(box: list[float], image_size_hw: tuple[int, int]) -> dict[str, Any]:
    """Return the RLE of a box XYWH_ABS in an image."""
    return mask_util.frPyObjects([box], *image_size_hw)[0]
