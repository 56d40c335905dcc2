"""What the annotations of a split count, read from COCO's file itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from pose_project.utils.errors import InputError
from pose_project.utils.json_files import check_json_size


@dataclass(frozen=True)
class SplitStatistics:
    """Counts over one split; a crowd is no person, but its photo is one with people."""

    photos: int
    photos_with_people: int
    photos_with_keypoints: int
    people: int
    crowds: int
    people_with_keypoints: int
    keypoints_labelled: int
    keypoints_visible: int


def read_annotations(path: Path) -> dict[str, Any]:
    """Return the content of a COCO file.

    Raises:
        InputError: if it cannot be read or is not in COCO's format.
    """
    check_json_size(str(path))
    try:
        content = json.loads(path.read_bytes())
        if not all(isinstance(content[key], list) for key in ("images", "annotations")):
            raise TypeError("images and annotations are no lists")
        for photo in content["images"]:
            if not isinstance(photo["file_name"], str) or "/" in photo["file_name"]:
                raise TypeError(f"{photo['file_name']!r} is no file name")
            photo["id"], photo["width"], photo["height"]  # noqa: B018 - KeyError
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not in COCO's format: {error!r}") from error
    return content


def count_people(content: Mapping[str, Any]) -> SplitStatistics:
    """Return the counts of a keypoint file, a labelled keypoint having v = 1 or 2.

    Raises:
        InputError: if an annotation is not in COCO's format.
    """
    try:
        annotations = content["annotations"]
        people = [each for each in annotations if not each.get("iscrowd", 0)]
        labels = [
            np.array(each.get("keypoints", []), dtype=float).reshape(-1, 3)[:, 2] for each in people
        ]
        with_keypoints = [
            each["image_id"] for each, v in zip(people, labels, strict=True) if (v > 0).any()
        ]
        return SplitStatistics(
            photos=len(content["images"]),
            photos_with_people=len({each["image_id"] for each in annotations}),
            photos_with_keypoints=len(set(with_keypoints)),
            people=len(people),
            crowds=len(annotations) - len(people),
            people_with_keypoints=len(with_keypoints),
            keypoints_labelled=sum(int((v > 0).sum()) for v in labels),
            keypoints_visible=sum(int((v == 2).sum()) for v in labels),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"annotations are not in COCO's format: {error!r}") from error


def statistics_table(statistics: Mapping[str, SplitStatistics]) -> str:
    """Return a table with a column a split."""
    rows = [
        [field.name.replace("_", " ")]
        + [f"{getattr(each, field.name):,}" for each in statistics.values()]
        for field in fields(SplitStatistics)
    ]
    align = ("left", *["right"] * len(statistics))
    return tabulate(
        rows, headers=["", *statistics], tablefmt="github", colalign=align, disable_numparse=True
    )
