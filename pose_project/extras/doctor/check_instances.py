"""Checks across people: the same one twice, and left for right."""

import itertools
from collections.abc import Iterator

import numpy as np

from pose_project.extras.doctor.check_categories import schema_of
from pose_project.extras.doctor.columns import Dataset, LabelledPoses
from pose_project.extras.doctor.findings import Finding

# Two pairs of a skeleton agree when left is on the same side in both. Where so many of so many
# people agree, one who does not is worth a look.
_MAJORITY, _PEOPLE = 0.95, 30
_OTHER_PAIRS = 2
# A pair's direction counts if it is at least this share of the person's extent.
_SHORTEST = 0.1


def check_duplicates(dataset: Dataset) -> Iterator[Finding]:
    """Find annotations with photo, category, box and keypoints of an earlier one."""
    yield from dataset.annotations.found("duplicate-person", repeated_people(dataset))


def repeated_people(dataset: Dataset) -> list[int]:
    """Return the rows of annotations that say the same as an earlier one."""
    boxed = np.isfinite(dataset.boxes).all(axis=1) & (dataset.photo_of >= 0)
    rows = np.flatnonzero(boxed)
    keys = np.column_stack([dataset.photo_of[rows], dataset.category_of[rows], dataset.boxes[rows]])
    order = np.lexsort(keys.T)
    same = np.zeros(len(rows), bool)  # as the one before it in this order
    same[1:] = (keys[order][1:] == keys[order][:-1]).all(axis=1)
    repeated: list[int] = []
    seen: set[str] = set()
    alike = same | np.append(same[1:], False)
    for row, as_before in zip(rows[order][alike].tolist(), same[alike].tolist(), strict=True):
        keypoints = repr(dataset.annotations.objects[row].get("keypoints"))
        if not as_before:
            seen = set()
        if keypoints in seen:
            repeated.append(row)
        seen.add(keypoints)
    return repeated


def check_sides(dataset: Dataset) -> Iterator[Finding]:
    """Find people with pairs that have their left where nobody else has it."""
    suspects: list[np.ndarray] = []
    names: dict[str, None] = {}
    for pose in dataset.poses:
        schema = schema_of(dataset.categories.objects[pose.category])
        if schema is None or len(schema.flip_pairs) < 2:
            continue
        pairs = [[schema.names.index(name) for name in pair] for pair in schema.flip_pairs]
        odd = odd_pairs(pose, np.array(pairs))
        suspects.append(pose.rows[odd.any(axis=1)])
        names |= {schema.flip_pairs[pair][0]: None for pair in np.flatnonzero(odd.any(axis=0))}
    if suspects:
        detail = f"at {', '.join(names)}"
        yield from dataset.annotations.found("left-right", np.concatenate(suspects), detail)


def odd_pairs(pose: LabelledPoses, pairs: np.ndarray) -> np.ndarray:
    """Return which pairs of which people contradict the person's others.

    Args:
        pose: (n, K, 3).
        pairs: (P, 2) rows of left and right keypoints.

    Returns:
        (n, P) bool: against each other pair of the person that nearly everybody agrees with, and
        ``_OTHER_PAIRS`` of these at least.
    """
    both = pose.labelled[:, pairs].all(axis=2)
    rows = np.flatnonzero(both.sum(axis=1) > _OTHER_PAIRS)
    arrow = np.subtract(*np.moveaxis(pose.keypoints[rows][:, pairs, :2], 2, 0))
    lowest, highest = (corner[rows] for corner in pose.extent)
    shortest = _SHORTEST * (highest - lowest).max(axis=1, keepdims=True)
    clear = both[rows] & (np.linalg.norm(arrow, axis=2) > shortest)
    votes, against = np.zeros(clear.shape, int), np.zeros(clear.shape, int)
    for a, b in itertools.permutations(range(len(pairs)), 2):
        judged = clear[:, a] & clear[:, b]
        agrees = (arrow[:, a] * arrow[:, b]).sum(axis=1) > 0
        if judged.sum() >= _PEOPLE and agrees[judged].mean() >= _MAJORITY:
            votes[:, a] += judged
            against[:, a] += judged & ~agrees
    odd = np.zeros(both.shape, bool)
    odd[rows] = (votes >= _OTHER_PAIRS) & (against == votes)
    return odd
