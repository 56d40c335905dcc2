"""A corrected copy: what can be put right without guessing, and a list of it."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_project.data.filling import fill_annotation, readable_keypoints
from pose_project.data.validation import are_numbers
from pose_project.extras.doctor.check_boxes import are_xyxy, leaves_photo, read_as_xyxy
from pose_project.extras.doctor.check_categories import schema_of, skeleton_problem, unpaired_names
from pose_project.extras.doctor.check_images import Photo, size_problem
from pose_project.extras.doctor.check_instances import repeated_people
from pose_project.extras.doctor.check_structure import is_repeated
from pose_project.extras.doctor.columns import Dataset, Given
from pose_project.extras.doctor.examination import examine_content
from pose_project.extras.doctor.findings import Report
from pose_project.structures.flip_pairs import infer_flip_pairs
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.json_files import collection_paused

Corrections = Counter[str]
"""What was done, and how often."""


def check_output(output: Path, inputs: Sequence[Path]) -> None:
    """Raise ``InputError`` for a copy that cannot be written or would replace an input."""
    if output.is_dir():
        raise InputError(f"--fix {output} is a folder; name a file")
    if output.resolve() in [each.resolve() for each in inputs] or any(
        output.exists() and each.exists() and output.samefile(each) for each in inputs
    ):
        raise InputError(f"--fix {output} would replace an input; name another file")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK | os.X_OK):
        raise InputError(f"--fix {output}: {output.parent} is not a folder that can be written to")


def write_corrected(
    output: Path, dataset: Dataset, photos: Sequence[Photo] = ()
) -> tuple[Corrections, Report]:
    """Write a corrected copy of a dataset.

    Args:
        output: the file; whole or not there.
        dataset: not changed.
        photos: one for each image, if they were opened.

    Returns:
        What was done, and what is left to be found without opening photos.
    """
    with collection_paused():
        content, corrections = correct(dataset, photos)
        write_text_atomic(output, json.dumps(content))
        return corrections, examine_content(output, content, dataset.schemas)


def correct(dataset: Dataset, photos: Sequence[Photo] = ()) -> tuple[dict[str, Any], Corrections]:
    """Return a corrected copy of the content, and what was done. Entries are replaced, not changed.

    What is left out: annotations of photos that are not listed, copies of other annotations, and
    those without box and labelled keypoints. Entries that are not objects stay.
    """
    corrections: Corrections = Counter()
    content = dict(dataset.content)
    replaced = {
        "images": _correct_images(dataset, photos, corrections),
        "categories": _correct_categories(dataset, corrections),
        "annotations": _correct_annotations(dataset, corrections),
    }
    for entries in (dataset.images, dataset.categories, dataset.annotations):
        merged: list[Any] = list(content[entries.kind])
        for place, entry in zip(entries.places.tolist(), replaced[entries.kind], strict=True):
            merged[place] = entry
        content[entries.kind] = [entry for entry in merged if entry is not _LEFT_OUT]
    return content, +corrections


_LEFT_OUT = object()
# Of what loading fills in; bbox and area would be estimates.
_EXACT = ("iscrowd", "keypoints", "num_keypoints")


def _correct_images(
    dataset: Dataset, photos: Sequence[Photo], corrections: Corrections
) -> list[dict[str, Any]]:
    images = list(dataset.images.objects)
    for row, photo in enumerate(photos):
        if size_problem(dataset.sizes_wh[row].tolist(), photo) == "photo-size-swapped":
            width, height = photo.loaded_wh
            images[row] = {**images[row], "width": width, "height": height}
            corrections["photos: width and height exchanged"] += 1
    return images


def _correct_categories(dataset: Dataset, corrections: Corrections) -> list[dict[str, Any]]:
    categories = [dict(each) for each in dataset.categories.objects]
    if dataset.completed:
        corrections["categories: keypoints taken from the schema"] += len(dataset.completed)
    if dataset.fitted:
        corrections["categories: as many names as points"] += len(dataset.fitted)
    for category, count in zip(categories, dataset.num_keypoints, strict=True):
        if count and skeleton_problem(category.get("skeleton"), count) == "skeleton-zero":
            category["skeleton"] = [[a + 1, b + 1] for a, b in category["skeleton"]]
            corrections["categories: skeleton counted from 1"] += 1
        schema = schema_of(category) if count else None
        if schema is None:
            continue
        alone = unpaired_names(schema)
        missed = [p for p in infer_flip_pairs(schema.names) if set(p) <= set(alone)]
        if missed:
            category["flip_pairs"] = [list(pair) for pair in (*schema.flip_pairs, *missed)]
            corrections["categories: flip_pairs added"] += 1
    return categories


def _correct_annotations(dataset: Dataset, corrections: Corrections) -> list[Any]:
    annotations: list[Any] = list(dataset.annotations.objects)
    counts = np.append(dataset.num_keypoints, 0)[dataset.category_of].tolist()
    sizes = [
        None if np.isnan(width) else (int(width), int(height))
        for width, height in dataset.photo_sizes_wh.tolist()
    ]
    corners = read_as_xyxy(dataset)
    if are_xyxy(corners, leaves_photo(dataset)):
        sizes = [None] * len(sizes)  # a box that leaves its photo cannot be clipped as XYWH
        for row in np.flatnonzero(corners):
            x1, y1, x2, y2 = annotations[row]["bbox"]
            annotations[row] = {**annotations[row], "bbox": [x1, y1, x2 - x1, y2 - y1]}
            corrections["annotations: bbox from corners to width and height"] += 1
    for row, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        annotations[row], done = correct_annotation(annotations[row], count, size)
        corrections.update(f"annotations: {each}" for each in done)
    shows_nothing = is_empty(dataset).tolist()
    copies, dangling = set(repeated_people(dataset)), is_surely_dangling(dataset).tolist()
    ids = dataset.annotations.ids
    free = int(ids.max(initial=0)) + 1
    again = (is_repeated(dataset.annotations) | (ids == 0)).tolist()
    for row, annotation in enumerate(annotations):
        reason = _why_left_out(row in copies, dangling[row], shows_nothing[row])
        if reason:
            annotations[row] = _LEFT_OUT
            corrections[f"annotations: left out, {reason}"] += 1
        elif again[row]:
            annotations[row] = {**annotation, "id": free}
            corrections["annotations: numbered anew"] += 1
            free += 1
    return annotations


def is_surely_dangling(dataset: Dataset) -> np.ndarray:
    """Return (A,) bool: of no photo, while ids of photos and this one are in order.

    Where they are not, the annotation may belong to a photo whose id is to be repaired.
    """
    images = dataset.images
    in_order = (images.ids >= 0).all() and not is_repeated(images).any()
    complete = len(images) == len(dataset.content[images.kind])
    usable = dataset.annotations.whole_numbers("image_id") >= 0
    return (dataset.photo_of < 0) & usable & bool(in_order and complete)


def is_empty(dataset: Dataset) -> np.ndarray:
    """Return (A,) bool: no box has an extent, and keypoints are missing or unlabelled."""
    no_points = (dataset.keypoints_given <= Given.NUMBERS) & (dataset.num_labelled == 0)
    no_box = (dataset.box_given == Given.NOTHING) | (dataset.boxes[:, 2:] <= 0).any(axis=1)
    return no_box & no_points


def _why_left_out(is_copy: bool, dangling: bool, shows_nothing: bool) -> str:
    if is_copy:
        return "the same as another one"
    if dangling:
        return "their photo is not listed"
    return "neither box nor labelled keypoints" if shows_nothing else ""


def correct_annotation(
    annotation: dict[str, Any], num_keypoints: int, image_size_wh: tuple[int, int] | None
) -> tuple[dict[str, Any], list[str]]:
    """Return an annotation with its numbers in order, and what was done to it.

    Args:
        annotation: not changed.
        num_keypoints: K of its category, 0 if it has no keypoints.
        image_size_wh: of its photo; None if unknown, then its box is not clipped.
    """
    corrected, done = dict(annotation), []
    if isinstance(corrected.get("iscrowd"), bool):
        corrected["iscrowd"] = int(corrected["iscrowd"])
        done.append("iscrowd written as a number")
    readable = readable_keypoints(corrected.get("keypoints"))
    if num_keypoints and readable is not corrected.get("keypoints"):
        corrected["keypoints"] = readable
        done.append("keypoints written as numbers")
    if num_keypoints and are_numbers(corrected.get("keypoints"), 3 * num_keypoints):
        points = corrected["keypoints"]
        if any(type(v) is float and v in (0, 1, 2) for v in points[2::3]):
            corrected["keypoints"] = [
                int(value) if place % 3 == 2 and value in (0, 1, 2) else value
                for place, value in enumerate(points)
            ]
            done.append("visibility written as a whole number")
        labelled = sum(v > 0 for v in points[2::3])
        if corrected.get("num_keypoints") not in (None, labelled):
            corrected["num_keypoints"] = labelled
            done.append("num_keypoints counted again")
    clipped = clip_box(corrected.get("bbox"), image_size_wh)
    if clipped is not None:
        corrected["bbox"] = clipped
        done.append("bbox clipped to the photo")
    filled, _ = fill_annotation(corrected, num_keypoints, image_size_wh)
    for field in _EXACT:
        if field in filled and corrected.get(field) is not filled[field]:
            corrected[field] = filled[field]
            done.append(f"{field} filled in")
    return corrected, done


def clip_box(box: Any, image_size_wh: tuple[int, int] | None) -> list[float] | None:
    """Return a box clipped to its photo, or None if it is not partly outside.

    Args:
        box: XYWH_ABS, or whatever is in its place.
        image_size_wh: of the photo, if known.
    """
    if image_size_wh is None or not are_numbers(box, 4) or min(box[2:]) <= 0:
        return None
    x1, y1 = (max(start, 0) for start in box[:2])
    x2, y2 = (
        min(start + extent, end)
        for start, extent, end in zip(box[:2], box[2:], image_size_wh, strict=True)
    )
    if x2 <= x1 or y2 <= y1 or (x2 - x1, y2 - y1) == tuple(box[2:]):
        return None
    clipped = [x1, y1, x2 - x1, y2 - y1]
    off = max(abs(a - b) for a, b in zip(clipped, box, strict=True))
    return clipped if off > 1 else None  # less is rounding, and no finding
