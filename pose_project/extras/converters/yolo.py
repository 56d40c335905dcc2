"""YOLO's pose format: what ``data.yaml`` says, and one line of a label file.

Coordinates are fractions of the photo's width and height. A keypoint's fraction times the width is
the x of a COCO file as it stands, without half a pixel added or taken away: that is what labelling
tools write that export both formats, and how COCO's own keypoints were made into YOLO labels. Boxes
are continuous in both formats.

A line is ``class  x_centre y_centre width height  x_1 y_1 [v_1]  x_2 y_2 [v_2] ...``. With v, it is
COCO's visibility. Without, every keypoint counts as visible but those that are negative by more
than a rounding or exactly (0, 0), as tools write what is not labelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

# Tools round: a box or keypoint at the edge may be a little outside.
_TOLERANCE = 0.01
_DECIMALS = 8


@dataclass(frozen=True)
class PoseFormat:
    """How the label files of a dataset are to be read; its classes have equally many keypoints.

    Args:
        keypoint_names: {class name: its K keypoint names}, in the order of the classes.
        flip_indices: for each keypoint of a mirrored instance the one that it takes; None if the
            file does not say.
        has_visibility: three numbers a keypoint, not two.
    """

    keypoint_names: Mapping[str, tuple[str, ...]]
    flip_indices: tuple[int, ...] | None
    has_visibility: bool

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(next(iter(self.keypoint_names.values())))


def read_format(data_yaml: Path, content: Mapping[str, Any]) -> PoseFormat:
    """Return the format that a ``data.yaml`` describes.

    Keypoints without names (``kpt_names``) are COCO's if their number and ``flip_idx`` are, else
    ``keypoint_1`` and so on.

    Raises:
        InputError: naming the file and the key that is wrong.
    """
    classes = _numbered(content.get("names"))
    if not classes:
        raise InputError(f"{data_yaml}: 'names' must list the classes, got {content.get('names')}")
    shape = content.get("kpt_shape")
    if not _is_shape(shape):
        raise InputError(
            f"{data_yaml}: 'kpt_shape' must be [number of keypoints, 2 or 3], got {shape!r}; "
            "without it this is not a pose dataset"
        )
    count, dimensions = shape
    flip = content.get("flip_idx")
    if flip is not None and not _is_involution(flip, count):
        raise InputError(
            f"{data_yaml}: 'flip_idx' must name for each of {count} keypoints its mirror image, "
            f"numbered from 0, got {flip!r}"
        )
    default = tuple(f"keypoint_{number}" for number in range(1, count + 1))
    if count == COCO_PERSON.num_keypoints and flip == list(COCO_PERSON.hflip_indices):
        default = COCO_PERSON.names
    given = content.get("kpt_names") or {}
    if isinstance(given, list):
        given = dict(enumerate(given))
    names = {}
    for index, name in enumerate(classes):
        points = given.get(index) if isinstance(given, dict) else given
        points = list(default) if points is None else points
        if not isinstance(points, list) or len(set(map(str, points))) != count:
            raise InputError(f"{data_yaml}: 'kpt_names' of {name!r} are not {count} distinct names")
        names[name] = tuple(map(str, points))
    return PoseFormat(names, None if flip is None else tuple(flip), dimensions == 3)


def parse_line(
    line: str, pose_format: PoseFormat, size_wh: tuple[int, int], where: str
) -> tuple[dict[str, Any], int]:
    """Return the ``category_id bbox keypoints`` of a COCO annotation, and what was clipped.

    Args:
        line: of a label file.
        pose_format: of the dataset.
        size_wh: of the photo, in pixels.
        where: file and line, for messages.

    Returns:
        ``category_id`` is the class plus 1; ``bbox`` XYWH within the photo; ``keypoints`` 3 K
        numbers, 0 where v = 0. And how many keypoints were moved to the photo's edge, because
        they were outside of it by at most a hundredth of its size.

    Raises:
        InputError: naming ``where`` and what is wrong.
    """
    dimensions = 3 if pose_format.has_visibility else 2
    count = pose_format.num_keypoints
    try:
        values = [float(each) for each in line.split()]
    except ValueError as error:
        raise InputError(f"{where}: not only numbers ({error})") from error
    if len(values) != 5 + dimensions * count:
        raise InputError(
            f"{where}: {len(values)} numbers; class, box and {count} keypoints of {dimensions} "
            f"are {5 + dimensions * count}"
        )
    class_index = values[0]
    if class_index not in range(len(pose_format.keypoint_names)):
        raise InputError(
            f"{where}: class {class_index:g}, but there are {len(pose_format.keypoint_names)}, "
            "counted from 0"
        )
    points = [
        _to_coco_point(values[place : place + dimensions], size_wh, where)
        for place in range(5, len(values), dimensions)
    ]
    annotation = {
        "category_id": int(class_index) + 1,
        "bbox": _to_coco_box(values[1:5], size_wh, where),
        "keypoints": [value for point, _ in points for value in point],
    }
    return annotation, sum(was_moved for _, was_moved in points)


def format_line(
    class_index: int,
    bbox: Sequence[float],
    keypoints: Sequence[Sequence[float]],
    size_wh: tuple[int, int],
) -> str:
    """Return a line of a label file, with visibility.

    Args:
        class_index: from 0.
        bbox: XYWH_ABS, within the photo.
        keypoints: K of (x, y, v) as in a COCO file, within the photo where v > 0.
        size_wh: of the photo.
    """
    width, height = size_wh
    x, y, box_width, box_height = bbox
    numbers = [
        (x + box_width / 2) / width,
        (y + box_height / 2) / height,
        box_width / width,
        box_height / height,
    ]
    text = [str(class_index), *(f"{each:.{_DECIMALS}g}" for each in numbers)]
    for point_x, point_y, v in keypoints:
        fractions = (point_x / width, point_y / height) if v > 0 else (0, 0)
        text += [*(f"{each:.{_DECIMALS}g}" for each in fractions), str(int(v))]
    return " ".join(text)


def _to_coco_box(fractions: list[float], size_wh: tuple[int, int], where: str) -> list[float]:
    x, y, width, height = fractions
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    if not all(-_TOLERANCE <= each <= 1 + _TOLERANCE for each in corners) or min(width, height) < 0:
        raise InputError(
            f"{where}: the box {fractions} is not within 0 to 1; coordinates are fractions of "
            "width and height"
        )
    x0, y0, x1, y1 = (
        min(max(each, 0.0), 1.0) * size
        for each, size in zip(corners, (*size_wh, *size_wh), strict=True)
    )
    return [round(each, 4) for each in (x0, y0, x1 - x0, y1 - y0)]


def _to_coco_point(
    values: list[float], size_wh: tuple[int, int], where: str
) -> tuple[list[float], bool]:
    """Return (x, y, v), and whether the point had to be moved into the photo."""
    x, y = values[:2]
    if len(values) == 3:
        v = values[2]
        if v not in (0, 1, 2):
            raise InputError(f"{where}: visibility {v:g} is not 0, 1 or 2")
    else:
        v = 0 if min(x, y) < -_TOLERANCE or x == y == 0 else 2
    if v == 0:
        return [0, 0, 0], False
    if not all(-_TOLERANCE <= each <= 1 + _TOLERANCE for each in (x, y)):
        raise InputError(f"{where}: the keypoint ({x:g}, {y:g}) is not within 0 to 1")
    inside = [min(max(each, 0.0), 1.0) for each in (x, y)]
    pixels = [round(each * size, 4) for each, size in zip(inside, size_wh, strict=True)]
    return [*pixels, int(v)], inside != [x, y]


def read_yaml(data_yaml: Path) -> dict[str, Any]:
    """Return what a ``data.yaml`` holds, as plain data.

    Raises:
        InputError: if it is missing, no YAML, or holds no keys.
    """
    try:
        content = yaml.safe_load(data_yaml.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{data_yaml} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{data_yaml} describes no dataset: it has no keys")
    return content


def _numbered(names: Any) -> list[str]:
    """Return class names from a list or {0: name, 1: name, ...}; empty if they are neither."""
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        return []
    return [str(each) for each in names]


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) == 2
        and all(isinstance(each, int) for each in shape)
        and 0 < shape[0] < 10_000
        and shape[1] in (2, 3)
    )


def _is_involution(flip: Any, count: int) -> bool:
    if not isinstance(flip, list) or len(flip) != count:
        return False
    if not all(isinstance(each, int) and 0 <= each < count for each in flip):
        return False
    return all(flip[flip[index]] == index for index in range(count))
