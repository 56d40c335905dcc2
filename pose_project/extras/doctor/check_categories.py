"""Checks of the categories: names, pairs, sigmas and skeletons.

What a schema may be is decided by ``KeypointSchema``; its own words are the finding's detail.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from pose_project.data.category_schemas import schema_hint
from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.findings import Finding
from pose_project.extras.doctor.problems import PROBLEMS
from pose_project.structures import KeypointSchema, merge_schemas
from pose_project.structures.flip_pairs import infer_flip_pairs

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_SIDE = re.compile(r"(?<![a-z])(left|right)", re.IGNORECASE)


def check_schemas(dataset: Dataset) -> Iterator[Finding]:
    """Find names, flip pairs and sigmas that contradict each other."""
    if not dataset.num_keypoints.any():
        hint = schema_hint(dataset.categories.objects, dataset.annotations.objects)
        yield Finding(PROBLEMS["no-keypoints"], "file", detail=hint)
    given = dataset.categories.column("keypoints")
    no_lists = np.array([bool(each) and not isinstance(each, list) for each in given], bool)
    yield from dataset.categories.found("keypoint-names", no_lists)
    for row, done in dataset.fitted.items():
        yield from dataset.categories.found("names-number", [row], done)
    for row in np.flatnonzero(dataset.num_keypoints):
        category = dataset.categories.objects[row]
        reason = why_unusable(category)
        if reason or not all(isinstance(each, str) for each in category["keypoints"]):
            yield from dataset.categories.found("keypoint-names", [row], reason)
            continue
        for key, code in (("flip_pairs", "flip-pairs"), ("oks_sigmas", "oks-sigmas")):
            reason = why_unusable(category, key)
            if reason:
                yield from dataset.categories.found(code, [row], reason)


def check_categories_together(dataset: Dataset) -> Iterator[Finding]:
    """Find categories that mirror a keypoint of the same name differently."""
    schemas = [
        (str(category.get("name")), schema_of(category))
        for category in dataset.categories.objects
        if category.get("keypoints")
    ]
    if len(schemas) < 2 or any(schema is None for _, schema in schemas):
        return
    try:
        merge_schemas([(name, schema) for name, schema in schemas if schema is not None])
    except ValueError as error:
        yield Finding(PROBLEMS["categories-contradict"], "file", detail=str(error))


def check_pairs(dataset: Dataset) -> Iterator[Finding]:
    """Find left and right that no flip pair connects."""
    for row in np.flatnonzero(dataset.num_keypoints):
        schema = schema_of(dataset.categories.objects[row])
        if schema is None:
            continue
        alone = unpaired_names(schema)
        if alone:
            shown = ", ".join(alone[:4]) + ", ..." * (len(alone) > 4)
            yield from dataset.categories.found("flip-pairs-missing", [row], shown)


def unpaired_names(schema: KeypointSchema) -> list[str]:
    """Return the names that say left or right and are in no flip pair."""
    paired = {name for pair in schema.flip_pairs for name in pair}
    sided = {name for pair in infer_flip_pairs(schema.names) for name in pair}
    return [
        name
        for name in schema.names
        if name not in paired and (name in sided or _SIDE.search(name))
    ]


def check_skeletons(dataset: Dataset) -> Iterator[Finding]:
    """Find skeletons that are empty, of another category, or counted from 0."""
    for row in np.flatnonzero(dataset.num_keypoints):
        lines = dataset.categories.objects[row].get("skeleton")
        count = int(dataset.num_keypoints[row])
        code = skeleton_problem(lines, count)
        ends = np.ravel(lines) if code == "skeleton-range" else []
        detail = f"{min(ends)} to {max(ends)}, but there are {count}" if len(ends) else ""
        if code:
            yield from dataset.categories.found(code, [row], detail)


def skeleton_problem(lines: Any, count: int) -> str:
    """Return the problem's code of a skeleton of ``count`` keypoints, or ""."""
    if lines in (None, []):
        return "skeleton-empty" if count > 1 else ""
    if not are_pairs(lines):
        return "skeleton"
    ends = [end for line in lines for end in line]
    first = 0 if 0 in ends else 1
    if not all(first <= end < first + count for end in ends):
        return "skeleton-range"
    return "skeleton-zero" if first == 0 else ""


def are_pairs(lines: Any) -> bool:
    """Return whether a skeleton is a list of pairs of whole numbers."""
    return isinstance(lines, list) and all(
        isinstance(line, list) and len(line) == 2 and all(type(end) is int for end in line)
        for line in lines
    )


def check_used(dataset: Dataset) -> Iterator[Finding]:
    """Find categories without annotations."""
    used = np.isin(np.arange(len(dataset.categories)), dataset.category_of)
    yield from dataset.categories.found("category-unused", ~used)


def schema_of(category: dict[str, Any]) -> KeypointSchema | None:
    """Return a category's schema, or None if it is unusable; without a skeleton that is."""
    names, lines = category.get("keypoints"), category.get("skeleton")
    fits = isinstance(names, list) and skeleton_problem(lines, len(names)) in ("", "skeleton-zero")
    try:
        return KeypointSchema.from_coco_category({**category, "skeleton": lines if fits else []})
    except _MALFORMED:
        return None


def why_unusable(category: dict[str, Any], *keys: str) -> str:
    """Return why names, together with the named keys, are not a schema; "" if they are."""
    part = {key: category.get(key) for key in ("name", "keypoints", *keys)}
    try:
        KeypointSchema.from_coco_category(part)
    except _MALFORMED as error:
        return str(error) or type(error).__name__
    return ""
