"""What every loaded annotation must have, so that nothing later stumbles over it; its mask."""

import math
from collections.abc import Sequence
from typing import Any

from pycocotools import mask as mask_util

from pose_project.utils.errors import InputError

# Larger than any image; beyond it, numbers overflow somewhere or cost memory.
LARGEST_COORDINATE = 1e6
_NUMBERS = frozenset({int, float})
_COORDINATES = ("x", "y", "v")
_SMALLEST_POLYGON = 6  # numbers: three points


def check_dataset_dicts(source: str, dicts: list[dict[str, Any]], num_keypoints: int) -> None:
    """Raise ``InputError`` for the first image or annotation that cannot be used.

    Args:
        source: what is named in the message.
        dicts: Detectron2's, of a dataset that somebody else loads.
        num_keypoints: K of the schema.
    """
    for image in dicts:
        where = f"{source}: image {image.get('image_id')!r}"
        check_image(where, {**image, "id": image.get("image_id")})
        for annotation in image.get("annotations", ()):
            check_annotation(where, {"area": 0, **annotation})
            if annotation.get("keypoints"):
                names = [f"number {index}" for index in range(num_keypoints)]
                check_keypoints(where, annotation["keypoints"], names)


def check_image(where: str, image: dict[str, Any]) -> None:
    """Raise ``InputError`` unless an entry of ``images`` has id, name and size.

    Args:
        where: file and image, the beginning of the message.
        image: with ``id file_name height width``.
    """
    check_image_id(where, image)
    if not isinstance(image.get("file_name"), str) or not image["file_name"]:
        raise InputError(f"{where}: file_name is {image.get('file_name')!r}")
    for side in ("height", "width"):
        if type(image.get(side)) is not int or not 0 < image[side] < LARGEST_COORDINATE:
            raise InputError(f"{where}: {side} is {image.get(side)!r}, not a number of pixels")


def check_image_id(where: str, image: dict[str, Any]) -> None:
    """Raise ``InputError`` unless an image's id is a whole number."""
    if type(image.get("id")) is not int:  # names files as well: no "../"
        raise InputError(f"{where}: its id is not a whole number")


def check_annotation(where: str, annotation: dict[str, Any]) -> None:
    """Raise ``InputError`` unless an instance's bbox, area and iscrowd can be used."""
    if not are_numbers(annotation.get("bbox"), 4):
        raise InputError(f"{where}: bbox is {annotation.get('bbox')!r}, not four numbers")
    if not are_numbers([annotation.get("area")], 1, LARGEST_COORDINATE**2):
        raise InputError(f"{where}: area is {annotation.get('area')!r}, not a number")
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise InputError(f"{where}: iscrowd is {annotation['iscrowd']!r}, not 0 or 1")
    if annotation.get("ignore", 0) != 0:
        raise InputError(f"{where}: ignore is {annotation['ignore']!r}; write iscrowd 1 for it")


def check_keypoints(where: str, values: Any, names: Sequence[str]) -> None:
    """Raise ``InputError`` if an instance's keypoints are not 3 K numbers of a sensible size.

    Args:
        where: file and annotation, the beginning of the message.
        values: 3 K numbers (x, y, v) if they are right.
        names: K names.
    """
    if not isinstance(values, list) or len(values) != 3 * len(names):
        raise InputError(
            f"{where}: keypoints are not {len(names)} times three numbers (x, y, v), but "
            f"{len(values) if isinstance(values, list) else repr(values)[:80]}"
        )
    if are_numbers(values, len(values)):
        return
    for place, value in enumerate(values):
        if not are_numbers([value], 1):
            raise InputError(
                f"{where}: keypoints[{place}], {_COORDINATES[place % 3]} of {names[place // 3]}, "
                f"is {'null' if value is None else repr(value)[:80]}, not a number of pixels"
            )


def are_numbers(values: Any, count: int, limit: float = LARGEST_COORDINATE) -> bool:
    """Return whether a value is a list of ``count`` numbers, none of which reaches a limit."""
    if not isinstance(values, list) or len(values) != count:
        return False
    if not _NUMBERS.issuperset(map(type, values)):  # else NumPy's, perhaps
        return all(is_number(v) and abs(v) < limit for v in values)
    if not values:
        return True
    is_small = max(values) < limit and min(values) > -limit
    return is_small and not math.isnan(sum(values))


def is_number(value: Any) -> bool:
    """Return whether a value is a number, NaN and infinity included; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
