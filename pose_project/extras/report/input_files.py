"""Ground truth and results read from files, and checked so that nothing later stumbles."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_project.data.annotation_files import keypoint_categories, load_annotations
from pose_project.data.category_schemas import schemas_of_size
from pose_project.data.validation import LARGEST_COORDINATE
from pose_project.extras.report.arrays import Category, People, Photos, Predictions, Results, Truth
from pose_project.extras.report.foreign_results import read_any_results
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError


def read_truth(path: Path) -> Truth:
    """Read a COCO keypoint ground truth as loading does.

    Raises:
        InputError: if it cannot be used, naming what is wrong.
    """
    annotations = load_annotations(path)
    with_keypoints = keypoint_categories(path)
    if not annotations.images:
        raise InputError(f"{path} has no photos")
    if not annotations.has_annotations:
        raise InputError(f"{path} has no annotations: there is nothing to compare with")
    photos = _photos(annotations.images)
    notes = [f"Ground truth: {changes}." for changes in [annotations.describe_changes()] if changes]
    by_category: dict[int, list[dict[str, Any]]] = {each["id"]: [] for each in with_keypoints}
    for each in annotations.annotations:
        by_category[each["category_id"]].append(each)
    categories = []
    for entry in with_keypoints:
        name = str(entry.get("name", entry["id"]))
        try:
            schema = KeypointSchema.from_coco_category(entry)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: keypoints of category {name!r}: {error}") from error
        if schema.sigmas_estimated:
            notes.append(f"{name}: no OKS sigmas are known; {schema.oks_sigmas[0]} stands for all.")
        people = _people(by_category[entry["id"]], photos, schema.num_keypoints)
        categories.append(Category(entry["id"], name, schema, people))
    if np.isnan(photos.sizes_wh).any():
        notes.append("Photos lack a width or height: nobody in them counts as truncated.")
    others = {each["id"] for each in annotations.content["categories"]} - by_category.keys()
    return Truth(photos, categories, frozenset(others), annotations.truth(), notes)


def read_results(path: Path, truth: Truth) -> Results:
    """Read results in COCO's format, or in one that ``read_any_results`` knows.

    Raises:
        InputError: if there are none, or one of them is not finite, of an unknown photo or
            category, or has another number of keypoints than its category.
    """
    content, notes = read_any_results(path, truth)
    if not content:
        raise InputError(f"{path} holds no result: there is nothing to analyse")
    needed = {"image_id", "category_id", "score", "keypoints"}
    for place, each in enumerate(content):
        if not isinstance(each, dict) or not needed <= each.keys():
            missing = sorted(needed - each.keys()) if isinstance(each, dict) else "all it needs"
            raise InputError(f"{path}: result {place} lacks {missing}")
    known = {category.id for category in truth.categories}
    for place, each in enumerate(content):
        id_ = each["category_id"]
        if not _is_id(id_) or (id_ not in known and id_ not in truth.other_categories):
            raise InputError(f"{path}: result {place}: category {id_!r} is not in the ground truth")
    kept = [each for each in content if each["category_id"] in known]
    if len(kept) < len(content):
        left_out = len(content) - len(kept)
        notes.append(f"{left_out} results are of categories without keypoints and left out.")
    if not kept:
        raise InputError(f"{path} holds no result of a category with keypoints")
    has_boxes = all(each.get("bbox") for each in kept)
    predictions = []
    for category in truth.categories:
        own = [each for each in kept if each["category_id"] == category.id]
        found = _predictions(path, own, truth.photos, category)
        for each, box in zip(own, found.boxes.tolist(), strict=True):
            each["bbox"] = box
        predictions.append(found)
        notes.extend(_remarks(category.name, found))
    if not has_boxes:
        notes.append("Results have no boxes: no box numbers, and areas are those of the keypoints.")
    return Results(predictions, has_boxes, kept, notes)


def _photos(images: list[dict[str, Any]]) -> Photos:
    ids = np.array([each["id"] for each in images], np.int64)
    names = [str(each.get("file_name", each["id"])) for each in images]
    sizes = [[_side(each.get("width")), _side(each.get("height"))] for each in images]
    return Photos(ids, names, np.array(sizes, np.float64))


def _people(annotations: list[dict[str, Any]], photos: Photos, num_keypoints: int) -> People:
    keypoints = [each["keypoints"] for each in annotations]
    return People(
        np.array([each["id"] for each in annotations], np.int64),
        photos.index(np.array([each["image_id"] for each in annotations], np.int64)),
        np.array([each["bbox"] for each in annotations], np.float64).reshape(-1, 4),
        np.array([each["area"] for each in annotations], np.float64),
        np.array(keypoints, np.float64).reshape(-1, num_keypoints, 3),
        np.array([bool(each["iscrowd"]) for each in annotations], bool),
        np.array([each["num_keypoints"] == 0 for each in annotations], bool),
    )


def _predictions(
    path: Path, results: list[dict[str, Any]], photos: Photos, category: Category
) -> Predictions:
    num_keypoints = category.schema.num_keypoints
    where = [f"{path}: result of photo {each['image_id']}" for each in results]
    _check_number(where, results, category)
    keypoints = _array(
        where, [each["keypoints"] for each in results], 3 * num_keypoints, "keypoints"
    )
    keypoints = keypoints.reshape(-1, num_keypoints, 3)
    low, high = keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)
    around = np.hstack([low, high - low]).tolist()
    given = [each.get("bbox") or own for each, own in zip(results, around, strict=True)]
    boxes = _array(where, given, 4, "bbox")
    return Predictions(
        _photo_places(where, results, photos),
        _array(where, [[each["score"]] for each in results], 1, "score")[:, 0],
        boxes,
        boxes[:, 2] * boxes[:, 3],
        keypoints,
    )


def _check_number(where: list[str], results: list[dict[str, Any]], category: Category) -> None:
    """Raise ``InputError`` for results of another model's keypoints."""
    width = 3 * category.schema.num_keypoints
    for place, each in enumerate(results):
        if isinstance(each["keypoints"], list) and len(each["keypoints"]) != width:
            given = len(each["keypoints"])
            same = " and ".join(schemas_of_size(given // 3)) if given % 3 == 0 else ""
            raise InputError(
                f"{where[place]}: keypoints is {given} numbers, not {width} numbers for the "
                f"{width // 3} of {category.name!r}" + (f"; {same} has so many" if same else "")
            )


def _remarks(name: str, predictions: Predictions) -> Iterator[str]:
    if len(predictions) == 0:
        yield f"{name}: no results."
        return
    low, high = predictions.scores.min(), predictions.scores.max()
    if low < 0 or high > 1:
        yield (
            f"{name}: scores are from {low:.3g} to {high:.3g}, no probabilities: their order "
            "counts, and there is no calibration error."
        )
    keypoint_scores = predictions.keypoints[..., 2]
    if keypoint_scores.min() < 0 or keypoint_scores.max() > 1:
        yield (
            f"{name}: scores of keypoints are from {keypoint_scores.min():.3g} to "
            f"{keypoint_scores.max():.3g}, no probabilities: they have no calibration error."
        )
    absent = (predictions.keypoints == 0).all(axis=-1).sum()
    if absent:
        yield f"{name}: {absent} absent points (0, 0, 0) count as predicted there, as in COCO."


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63  # True is an int as well


def _side(value: Any) -> float:
    is_length = isinstance(value, (int, float)) and 0 < value < LARGEST_COORDINATE
    return float(value) if is_length else math.nan


def _photo_places(where: list[str], entries: list[dict[str, Any]], photos: Photos) -> np.ndarray:
    ids = [each.get("image_id") for each in entries]
    for place, id_ in enumerate(ids):
        if not _is_id(id_):
            raise InputError(f"{where[place]}: image_id is {id_!r}, not a whole number from 0")
    places = photos.index(np.array(ids, np.int64))
    if (places < 0).any():
        first = int(np.argmax(places < 0))
        raise InputError(
            f"{where[first]}: photo {ids[first]} is not in the ground truth "
            f"({int((places < 0).sum())} of {len(ids)} such entries)"
        )
    return places


def _array(where: list[str], rows: list[Any], width: int, what: str) -> np.ndarray:
    """Return (len(rows), width) float64; raise ``InputError`` for the first row that is not so."""
    if not rows:
        return np.zeros((0, width))
    try:
        values = np.array(rows)
    except (ValueError, TypeError, OverflowError):
        values = np.zeros(0)
    # "1" would become a number if one asked for numbers
    if values.dtype.kind not in "iuf" or values.shape != (len(rows), width):
        for place, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != width:
                given = f"{len(row)} numbers" if isinstance(row, list) else repr(row)[:60]
                raise InputError(f"{where[place]}: {what} is {given}, not {width} numbers")
        raise InputError(f"{where[0]} or a later one: {what} holds something that is not a number")
    values = values.astype(np.float64)
    wrong = ~(np.abs(values) < LARGEST_COORDINATE**2).all(axis=1)  # NaN is not smaller either
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(f"{where[place]}: {what} holds NaN or a number without sense")
    return values
