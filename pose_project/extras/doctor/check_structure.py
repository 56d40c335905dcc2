"""Checks of ids and references: does everything have its place?"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from pose_project.extras.doctor.columns import Dataset, Entries
from pose_project.extras.doctor.findings import Finding
from pose_project.extras.doctor.problems import PROBLEMS

_FEWEST_POINTS, _SHARE_OF_POINTS = 2, 0.8  # categories, and of the annotations


def check_entries(dataset: Dataset) -> Iterator[Finding]:
    """Find entries that are not objects."""
    for entries in (dataset.images, dataset.annotations, dataset.categories):
        total = len(dataset.content[entries.kind])
        if len(entries) < total:
            others = np.setdiff1d(np.arange(total), entries.places)
            places = tuple(others[:10].tolist())
            labels = tuple(f"#{place}" for place in places)
            yield Finding(PROBLEMS["broken-entry"], entries.kind, len(others), places, labels)


def check_ids(dataset: Dataset) -> Iterator[Finding]:
    """Find ids that are unusable or used twice."""
    for entries in (dataset.images, dataset.annotations, dataset.categories):
        yield from entries.found("bad-id", entries.ids < 0)
        yield from entries.found("duplicate-id", is_repeated(entries))
    yield from dataset.annotations.found("zero-id", dataset.annotations.ids == 0)


def is_repeated(entries: Entries) -> np.ndarray:
    """Return (n,) bool: an earlier entry has the same id."""
    first = np.zeros(len(entries), bool)
    first[np.unique(entries.ids, return_index=True)[1]] = True
    return ~first & (entries.ids >= 0)


def check_references(dataset: Dataset) -> Iterator[Finding]:
    """Find annotations of photos or categories that are not there."""
    yield from dataset.annotations.found("dangling-photo", dataset.photo_of < 0)
    yield from dataset.annotations.found("dangling-category", dataset.category_of < 0)


def check_photo_entries(dataset: Dataset) -> Iterator[Finding]:
    """Find photos without a usable name or size, and names used twice."""
    names = dataset.images.column("file_name")
    usable = np.array([isinstance(name, str) and bool(name) for name in names], bool)
    sized = np.isfinite(dataset.sizes_wh).all(axis=1)
    yield from dataset.images.found("photo-entry", ~(usable & sized))
    times = Counter(name for name in names if isinstance(name, str))
    yield from dataset.images.found(
        "repeated-file",
        np.array([isinstance(name, str) and times[name] > 1 for name in names], bool),
    )


def check_export(dataset: Dataset) -> Iterator[Finding]:
    """Find exports in which nobody is annotated, or points that nothing joins to a person."""
    if not len(dataset.content["annotations"]):
        yield Finding(PROBLEMS["nobody-annotated"], "file")
        return
    names = dataset.num_keypoints
    if len(names) < _FEWEST_POINTS or names.max(initial=0) > 1 or not len(dataset.annotations):
        return
    points = [
        isinstance(values, list) and len(values) == 3
        for values in dataset.annotations.column("keypoints")
    ]
    if np.mean(points) >= _SHARE_OF_POINTS:
        detail = f"{len(names)} categories of one point each"
        yield Finding(PROBLEMS["points-without-skeleton"], "file", detail=detail)


def check_somebody(dataset: Dataset) -> Iterator[Finding]:
    """Find a file that has nobody to train on."""
    trainable = dataset.is_person & (dataset.num_labelled > 0) & (dataset.photo_of >= 0)
    if dataset.num_keypoints.any() and not trainable.any():
        yield Finding(PROBLEMS["empty"], "file")
