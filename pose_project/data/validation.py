"""What every loaded annotation must have, so that nothing later stumbles over it."""

import math
import os
from pathlib import Path
from typing import Any

from pose_project.utils.errors import InputError

# Larger than any photo; beyond it, numbers overflow somewhere or cost memory.
LARGEST_COORDINATE = 1e6
# Memory at the peak of reading, in sizes of the file; COCO's annotations take ten.
_MEMORY_PER_BYTE = 12
_NUMBERS = frozenset({int, float, bool})


def check_json_size(path: str) -> None:
    """Raise ``InputError`` if reading a JSON file would take more memory than the machine has."""
    needed = _MEMORY_PER_BYTE * Path(path).stat().st_size
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{path} would take about {needed / 1e9:.0f} GB of memory to read, and this machine "
            f"has {memory / 1e9:.0f} GB"
        )


def check_dataset_dicts(source: str, dicts: list[dict[str, Any]], num_keypoints: int) -> None:
    """Raise ``InputError`` for the first photo or annotation that cannot be used.

    Args:
        source: the file that is named in the message.
        dicts: as ``load_coco_json`` returns them.
        num_keypoints: K of the schema.
    """
    for photo in dicts:
        where = f"{source}: photo {photo.get('image_id')!r}"
        if not isinstance(photo.get("image_id"), int):  # names files as well: no "../"
            raise InputError(f"{where}: its id is no whole number")
        if not isinstance(photo.get("file_name"), str):
            raise InputError(f"{where}: file_name is {photo.get('file_name')!r}")
        for side in ("height", "width"):
            if not isinstance(photo.get(side), int) or not 0 < photo[side] < LARGEST_COORDINATE:
                raise InputError(f"{where}: {side} is {photo.get(side)!r}, not a number of pixels")
        for annotation in photo["annotations"]:
            if not are_numbers(annotation.get("bbox"), 4):
                raise InputError(f"{where}: bbox is {annotation.get('bbox')!r}, not four numbers")
            if annotation.get("keypoints"):
                check_keypoints(where, annotation["keypoints"], num_keypoints)
            if annotation.get("iscrowd", 0) not in (0, 1):
                raise InputError(f"{where}: iscrowd is {annotation['iscrowd']!r}, not 0 or 1")


def check_keypoints(where: str, values: Any, num_keypoints: int) -> None:
    """Raise ``InputError`` if an instance's keypoints are not 3 K numbers of a sensible size."""
    if not are_numbers(values, 3 * num_keypoints):
        raise InputError(
            f"{where}: keypoints are not {num_keypoints} times three numbers (x, y, v), but "
            f"{len(values) if isinstance(values, list) else values!r}"
        )


def are_numbers(values: Any, count: int) -> bool:
    """Return whether a value is a list of ``count`` numbers of a sensible size."""
    if not isinstance(values, list) or len(values) != count:
        return False
    if not _NUMBERS.issuperset(map(type, values)):  # else NumPy's, perhaps
        return all(isinstance(v, (int, float)) and abs(v) < LARGEST_COORDINATE for v in values)
    is_small = max(values) < LARGEST_COORDINATE and min(values) > -LARGEST_COORDINATE
    return is_small and not math.isnan(sum(values))
