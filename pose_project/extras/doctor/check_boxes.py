"""Checks of bbox, area and iscrowd."""

import math
from collections.abc import Iterator

import numpy as np

from pose_project.data.filling import is_plausible_area
from pose_project.data.validation import usable_segmentation
from pose_project.extras.doctor.columns import Dataset, Given
from pose_project.extras.doctor.findings import Finding

TOLERANCE = 1.0
"""Pixels by which a box or point may leave its frame: rounding."""
# Boxes are XYXY if nearly all can be read so, while many leave the photo as XYWH.
_XYXY_READABLE, _XYWH_OUTSIDE = 0.95, 0.3
_XYXY_MARGIN = 0.2  # keypoints may be so far outside, as a share of the longer side


def check_boxes(dataset: Dataset) -> Iterator[Finding]:
    """Find boxes that are missing, malformed, empty, or not in their photo."""
    found = dataset.annotations.found
    given, boxes = dataset.box_given, dataset.boxes
    missing, empty = given == Given.NOTHING, (boxes[:, 2:] <= 0).any(axis=1)
    has_labels = dataset.num_labelled > 0
    yield from found("bbox-missing", missing & has_labels)
    yield from found("bbox-unknown", (missing | empty) & ~has_labels)
    yield from found("bbox-malformed", given >= Given.OTHER_LENGTH)
    yield from found("bbox-empty", empty & has_labels)
    readable, outside = read_as_xyxy(dataset), leaves_photo(dataset)
    if are_xyxy(readable, outside):
        detail = f"{readable.sum():,} can be read so; as written, {outside.sum():,} leave the photo"
        yield from found("bbox-xyxy", readable, detail)
        return
    first, last, size = boxes[:, :2], boxes[:, :2] + boxes[:, 2:], dataset.photo_sizes_wh
    away = ((last <= 0) | (first >= size)).any(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    yield from found("bbox-off-photo", away)
    yield from found("bbox-outside", outside & ~away)


def leaves_photo(dataset: Dataset) -> np.ndarray:
    """Return (A,) bool: the box, which is not empty, reaches out of its photo."""
    first, extent = dataset.boxes[:, :2], dataset.boxes[:, 2:]
    beyond = first + extent > dataset.photo_sizes_wh + TOLERANCE
    return ((first < -TOLERANCE) | beyond).any(axis=1) & (extent > 0).all(axis=1)


def read_as_xyxy(dataset: Dataset) -> np.ndarray:
    """Return (A,) bool: read as two corners, it is a box in its photo around the keypoints."""
    first, last = dataset.boxes[:, :2], dataset.boxes[:, 2:]
    in_photo = (first >= -TOLERANCE) & (last <= dataset.photo_sizes_wh + TOLERANCE)
    lowest, highest = dataset.extent
    margin = _XYXY_MARGIN * (last - first).max(axis=1, keepdims=True)
    around = (lowest >= first - margin) & (highest <= last + margin)
    return ((last > first) & in_photo & around).all(axis=1)


def are_xyxy(readable: np.ndarray, outside: np.ndarray) -> bool:
    """Return whether the dataset's boxes are corners: nearly all readable so, many leave it."""
    known = readable | outside
    return bool(
        outside.any()
        and readable.sum() >= _XYXY_READABLE * len(known)
        and (outside & readable).sum() >= _XYWH_OUTSIDE * len(known)
    )


def check_area(dataset: Dataset) -> Iterator[Finding]:
    """Find areas that are missing, not positive, or not those of what is in the box."""
    values = dataset.annotations.column("area")
    found = dataset.annotations.found
    missing = np.array([value is None for value in values], bool)
    numbers = np.array([is_finite(value) for value in values], bool)
    yield from found("area-missing", missing)
    yield from found("area-malformed", ~missing & ~numbers)
    positive = np.array([ok and value > 0 for ok, value in zip(numbers, values, strict=True)], bool)
    yield from found("area-zero", numbers & ~positive)
    boxes = dataset.annotations.column("bbox")
    plausible = [is_plausible_area(*each) for each in zip(values, boxes, strict=True)]
    yield from found("area-implausible", positive & ~np.array(plausible, bool))


def check_segmentation(dataset: Dataset) -> Iterator[Finding]:
    """Find segmentations that are neither empty nor a mask of their image."""
    values = dataset.annotations.column("segmentation")
    sizes = [
        None if math.isnan(width) else (int(height), int(width))
        for width, height in dataset.photo_sizes_wh.tolist()
    ]
    wrong = [
        value not in (None, []) and size is not None and not _is_whole_mask(value, size)
        for value, size in zip(values, sizes, strict=True)
    ]
    yield from dataset.annotations.found("segmentation", np.array(wrong, bool))


def _is_whole_mask(segmentation: object, size_hw: tuple[int, int]) -> bool:
    """Return whether loading uses a segmentation, and all of its polygons."""
    usable = usable_segmentation(segmentation, size_hw)
    is_list = isinstance(segmentation, list)
    return usable is not None and (not is_list or len(usable) == len(segmentation))


def is_finite(value: object) -> bool:
    """Return whether a value is a number that a float can hold."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False


def check_crowd(dataset: Dataset) -> Iterator[Finding]:
    """Find iscrowd that is missing, boolean or something else."""
    values = dataset.annotations.column("iscrowd")
    found = dataset.annotations.found
    yield from found("iscrowd-missing", np.array([value is None for value in values], bool))
    boolean = np.array([isinstance(value, bool) for value in values], bool)
    yield from found("iscrowd-boolean", boolean)
    usable = [
        value is None or (isinstance(value, (int, float)) and value in (0, 1)) for value in values
    ]
    yield from found("iscrowd-malformed", ~np.array(usable, bool))
