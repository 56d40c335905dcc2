"""Checks of the keypoints of each person, and of the numbers about them."""

from collections.abc import Iterator

import numpy as np

from pose_project.data.validation import are_numbers
from pose_project.extras.doctor.check_boxes import TOLERANCE, are_xyxy, leaves_photo, read_as_xyxy
from pose_project.extras.doctor.columns import Dataset, Given
from pose_project.extras.doctor.findings import Finding

_LABELLED_POINTS = 2  # fewer say nothing about all of a person's points
_SMALLEST_BOX = 10.0  # pixels; far off is farther than the box is large, and than this


def check_lengths(dataset: Dataset) -> Iterator[Finding]:
    """Find keypoints that are not numbers, or not three for each name."""
    found = dataset.annotations.found
    given = dataset.keypoints_given
    yield from found("keypoints-malformed", given == Given.MALFORMED)
    wrong = np.flatnonzero(given == Given.OTHER_LENGTH)
    if len(wrong):
        values = len(dataset.annotations.objects[wrong[0]]["keypoints"])
        names = dataset.num_keypoints[dataset.category_of[wrong[0]]]
        detail = f"the first has {values} numbers for {names} names, {3 * names} are needed"
        yield from found("keypoints-length", wrong, detail)


def check_visibility(dataset: Dataset) -> Iterator[Finding]:
    """Find visibilities that are not 0, 1 or 2, or written as floats."""
    objects = dataset.annotations.objects
    strange, floats = [], []
    for pose in dataset.poses:
        v = pose.keypoints[:, :, 2]
        is_strange = ~np.isin(v, (0, 1, 2)).all(axis=1)
        strange.extend(pose.rows[is_strange])
        written = ((row, objects[row]["keypoints"][2::3]) for row in pose.rows[~is_strange])
        floats.extend(row for row, values in written if float in map(type, values))
    yield from dataset.annotations.found("visibility", strange)
    yield from dataset.annotations.found("visibility-float", floats)


def check_repaired(dataset: Dataset) -> Iterator[Finding]:
    """Find visibilities written as true or false, and unlabelled points that are not numbers."""
    boolean, unreadable = [], []
    for pose in dataset.poses:
        for row in pose.rows.tolist():
            values = dataset.annotations.objects[row]["keypoints"]
            if are_numbers(values, len(values)):
                continue
            (boolean if bool in map(type, values[2::3]) else unreadable).append(row)
    yield from dataset.annotations.found("visibility-boolean", boolean)
    yield from dataset.annotations.found("point-unreadable", unreadable)


def check_counts(dataset: Dataset) -> Iterator[Finding]:
    """Find num_keypoints that are missing or wrong, and people without labelled keypoints."""
    found = dataset.annotations.found
    values = dataset.annotations.column("num_keypoints")
    with_keypoints = np.isin(dataset.category_of, np.flatnonzero(dataset.num_keypoints))
    missing = np.array([value is None for value in values], bool)
    yield from found("num-keypoints-missing", missing & with_keypoints)
    counted = dataset.keypoints_given <= Given.NUMBERS
    labelled = dataset.num_labelled
    right = [value == n for value, n in zip(values, labelled.tolist(), strict=True)]
    wrong = ~missing & ~np.array(right, bool) & counted & with_keypoints
    ignored = wrong & ((labelled == 0) | np.array([value == 0 for value in values], bool))
    yield from found("num-keypoints-wrong", wrong & ~ignored)
    yield from found("num-keypoints-zero", ignored)
    yield from found("unlabelled", dataset.is_person & (labelled == 0) & counted)


def check_places(dataset: Dataset) -> Iterator[Finding]:
    """Find labelled keypoints outside the photo or the box, or where none can be."""
    found: dict[str, list[np.ndarray]] = {"relative": [np.flatnonzero(has_relative_box(dataset))]}
    corners = are_xyxy(read_as_xyxy(dataset), leaves_photo(dataset))
    for pose in dataset.poses:
        lowest, highest = pose.extent
        num_labelled = pose.labelled.sum(axis=1)
        equal = (lowest == highest).all(axis=1)
        within_one = ((lowest >= 0) & (highest <= 1)).all(axis=1)
        relative = within_one & ~equal & (num_labelled >= _LABELLED_POINTS)
        photo = dataset.photo_sizes_wh[pose.rows]
        off_photo = distance_outside(pose.extent, np.zeros_like(photo), photo - 1) > TOLERANCE
        first, last = box_corners(dataset.boxes[pose.rows], corners)
        known = ~relative & (last > first).all(axis=1)
        distance = np.where(known, distance_outside(pose.extent, first, last), 0)
        # a box may hold only what is seen of somebody, so hidden points are far from it by right
        seen = pose.extent_of(pose.keypoints[:, :, 2] == 2)
        far_off = np.where(known, distance_outside(seen, first, last), 0)
        far = far_off > np.maximum((last - first).max(axis=1), _SMALLEST_BOX)
        for code, which in (
            ("relative", relative),
            ("points-equal", equal & (num_labelled > _LABELLED_POINTS)),
            ("point-off-photo", off_photo),
            ("point-off-box", (distance > TOLERANCE) & ~far),
            ("point-far-off", far),
        ):
            found.setdefault(code, []).append(pose.rows[which])
    for code, rows in found.items():
        yield from dataset.annotations.found(code, np.concatenate(rows))


def has_relative_box(dataset: Dataset) -> np.ndarray:
    """Return (A,) bool: the box is not empty and none of its numbers is beyond 1."""
    boxes = dataset.boxes
    return ((boxes >= 0) & (boxes <= 1)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)


def box_corners(boxes: np.ndarray, corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 2) and (n, 2): first and last corner of boxes, XYXY if ``corners`` else XYWH."""
    return boxes[:, :2], boxes[:, 2:] + (0 if corners else boxes[:, :2])


def distance_outside(
    extent: tuple[np.ndarray, np.ndarray], first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Return (n,) by how many pixels points are outside a frame, on either axis.

    0 if all are inside, or the frame is unknown.
    """
    lowest, highest = extent
    outside = np.maximum(first - lowest, highest - last).max(axis=1)
    return np.maximum(np.nan_to_num(outside, nan=0, neginf=0), 0)
