"""A COCO JSON as columns, so that a check looks at all of its entries at once.

Legend: I images, A annotations, C categories (those entries that are objects); K keypoints of a
category. Coordinates are those of the file: boxes XYWH_ABS, keypoints as pixel indices.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from pose_project.data.category_schemas import Schemas, complete_categories
from pose_project.data.filling import readable_keypoints
from pose_project.data.validation import LARGEST_COORDINATE, are_numbers
from pose_project.extras.doctor.findings import EXAMPLES, Finding
from pose_project.extras.doctor.problems import PROBLEMS

KINDS = ("images", "annotations", "categories")
_BATCH = 4096
LARGEST_ID = 2**53
"""JSON numbers beyond it are not whole numbers to every reader."""


class Given(IntEnum):
    """What an annotation has under a key."""

    NOTHING = 0  # the key is missing, null, or an empty list
    NUMBERS = 1
    OTHER_LENGTH = 2  # numbers, but not as many as expected
    MALFORMED = 3


@dataclass(frozen=True)
class Entries:
    """One list of the file: its entries that are objects, and their places in the list."""

    kind: str
    objects: list[dict[str, Any]]
    places: np.ndarray

    @classmethod
    def of(cls, kind: str, entries: list[Any]) -> "Entries":
        """Take the entries that are objects."""
        if set(map(type, entries)) == {dict}:
            return cls(kind, entries, np.arange(len(entries)))
        places = [place for place, entry in enumerate(entries) if isinstance(entry, dict)]
        return cls(kind, [entries[place] for place in places], np.array(places, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.objects)

    def column(self, key: str) -> list[Any]:
        """Return the value of each object under a key, None where it has none."""
        return [each.get(key) for each in self.objects]

    def whole_numbers(self, key: str) -> np.ndarray:
        """Return (n,) int64; -1 where the value is not a whole number from 0 to ``LARGEST_ID``."""
        numbers = (
            value if type(value) is int and 0 <= value < LARGEST_ID else -1
            for value in self.column(key)
        )
        return np.fromiter(numbers, np.int64, len(self))

    @cached_property
    def ids(self) -> np.ndarray:
        """(n,) int64, -1 where unusable."""
        return self.whole_numbers("id")

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """Return the row of the object with each id, -1 where there is none."""
        if not len(self):
            return np.full(len(ids), -1)
        order = np.argsort(self.ids, kind="stable")
        found = np.minimum(np.searchsorted(self.ids[order], ids), len(self) - 1)
        rows = order[found]
        return np.where((self.ids[rows] == ids) & (ids >= 0), rows, -1)

    def found(
        self, code: str, which: np.ndarray | Sequence[int], detail: str = ""
    ) -> list[Finding]:
        """Return the finding about some rows, or an empty list if there are none.

        Args:
            code: of the problem.
            which: (n,) bool, or rows.
            detail: see ``Finding``.
        """
        rows = np.asarray(which)
        rows = np.flatnonzero(rows) if rows.dtype == bool else np.unique(rows.astype(np.int64))
        if not len(rows):
            return []
        first = rows[:EXAMPLES]
        labels = tuple(
            int(self.ids[row]) if self.ids[row] >= 0 else f"#{self.places[row]}" for row in first
        )
        places = tuple(self.places[first].tolist())
        return [Finding(PROBLEMS[code], self.kind, len(rows), places, labels, detail)]


@dataclass(frozen=True)
class LabelledPoses:
    """The annotations of one category whose keypoints are 3 K numbers.

    Args:
        category: row of the category.
        rows: (n,) rows of the annotations.
        keypoints: (n, K, 3) as (x, y, v).
    """

    category: int
    rows: np.ndarray
    keypoints: np.ndarray

    @cached_property
    def labelled(self) -> np.ndarray:
        """(n, K) bool, where v > 0."""
        return self.keypoints[:, :, 2] > 0

    @cached_property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, 2) and (n, 2): lowest and highest x and y of the labelled keypoints.

        Infinity and minus infinity where there are none.
        """
        return self.extent_of(self.labelled)

    def extent_of(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the extent of an (n, K) bool of keypoints, see ``extent``."""
        axes = [self.keypoints[:, :, axis] for axis in (0, 1)]
        lowest = [np.where(chosen, each, np.inf).min(axis=1) for each in axes]
        highest = [np.where(chosen, each, -np.inf).max(axis=1) for each in axes]
        return np.stack(lowest, axis=1), np.stack(highest, axis=1)


class Dataset:
    """The columns of a COCO JSON.

    Args:
        content: with lists under ``images``, ``annotations`` and ``categories``; whatever is in
            the lists.
        schemas: that it is meant to have; empty if nobody says.

    Attributes:
        listed: the categories as the file has them.
        expected: the schema of a category, by its row.
        completed: rows of categories that lack keypoint names, or have not as many as points, as
            the expected schema has; ``categories`` has the schema's.
        fitted: what loading does about a number of names that is not that of the points, by row.
    """

    def __init__(self, content: dict[str, Any], schemas: Schemas = MappingProxyType({})) -> None:
        self.content, self.schemas = content, schemas
        entries = [Entries.of(kind, content[kind]) for kind in KINDS]
        self.images, annotations, categories = entries
        self.listed = categories.objects
        done = complete_categories(categories.objects, annotations.objects, schemas)
        self.expected, self.completed, self.fitted = done.expected, done.given, done.fitted
        self.annotations = replace(annotations, objects=done.annotations)
        self.categories = replace(categories, objects=done.categories)

    @cached_property
    def photo_of(self) -> np.ndarray:
        """(A,) row of each annotation's photo, -1 where there is none."""
        return self.images.rows_of(self.annotations.whole_numbers("image_id"))

    @cached_property
    def category_of(self) -> np.ndarray:
        """(A,) row of each annotation's category, -1 where there is none."""
        return self.categories.rows_of(self.annotations.whole_numbers("category_id"))

    @cached_property
    def num_keypoints(self) -> np.ndarray:
        """(C,) number of keypoint names of each category, 0 where it has none."""
        names = self.categories.column("keypoints")
        return np.array([len(each) if isinstance(each, list) else 0 for each in names], np.int64)

    @cached_property
    def sizes_wh(self) -> np.ndarray:
        """(I, 2) width and height of the photos, NaN where the file does not say."""
        sizes = np.stack([self.images.whole_numbers(side) for side in ("width", "height")], axis=1)
        usable = (sizes > 0) & (sizes < LARGEST_COORDINATE)
        return np.where(usable.all(axis=1, keepdims=True), sizes, np.nan)

    @cached_property
    def photo_sizes_wh(self) -> np.ndarray:
        """(A, 2) size of each annotation's photo, NaN where unknown."""
        unknown = np.full((1, 2), np.nan)
        return np.concatenate([self.sizes_wh, unknown])[self.photo_of]

    @cached_property
    def is_person(self) -> np.ndarray:
        """(A,) bool: an instance that is not a crowd, of a category with keypoints."""
        crowd = np.array([bool(each) for each in self.annotations.column("iscrowd")], bool)
        with_keypoints = np.concatenate([self.num_keypoints > 0, [False]])[self.category_of]
        return with_keypoints & ~crowd

    @cached_property
    def _box_column(self) -> tuple[np.ndarray, np.ndarray]:
        return read_numbers(self.annotations.column("bbox"), 4)

    @property
    def boxes(self) -> np.ndarray:
        """(A, 4) XYWH, NaN where there is none."""
        return self._box_column[0]

    @property
    def box_given(self) -> np.ndarray:
        """(A,) what is there as ``bbox``, see ``Given``."""
        return self._box_column[1]

    @cached_property
    def keypoints_given(self) -> np.ndarray:
        """(A,) what is there as ``keypoints``; ``NOTHING`` in categories without keypoints."""
        given = np.zeros(len(self.annotations), np.int8)
        for _, rows, _, states in self._keypoint_columns:
            given[rows] = states
        return given

    @cached_property
    def poses(self) -> list[LabelledPoses]:
        """The usable keypoints, category by category."""
        return [
            LabelledPoses(category, rows[usable], values[usable].reshape(usable.sum(), -1, 3))
            for category, rows, values, states in self._keypoint_columns
            if (usable := states == Given.NUMBERS).any()
        ]

    @cached_property
    def num_labelled(self) -> np.ndarray:
        """(A,) number of labelled keypoints, 0 where there are none or they are unusable."""
        counts = np.zeros(len(self.annotations), np.int64)
        for pose in self.poses:
            counts[pose.rows] = pose.labelled.sum(axis=1)
        return counts

    @cached_property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """(A, 2) and (A, 2), see ``LabelledPoses.extent``."""
        lowest = np.full((len(self.annotations), 2), np.inf)
        highest = -lowest
        for pose in self.poses:
            lowest[pose.rows], highest[pose.rows] = pose.extent
        return lowest, highest

    @cached_property
    def _keypoint_columns(self) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        values = self.annotations.column("keypoints")
        columns = []
        for category in np.flatnonzero(self.num_keypoints):
            rows = np.flatnonzero(self.category_of == category)
            width = 3 * int(self.num_keypoints[category])
            numbers, given = read_numbers([values[r] for r in rows], width)
            for place in np.flatnonzero(given == Given.MALFORMED):
                repaired = readable_keypoints(values[rows[place]])
                if are_numbers(repaired, width):  # as loading reads them
                    numbers[place], given[place] = repaired, Given.NUMBERS
            columns.append((int(category), rows, numbers, given))
        return columns


def read_numbers(values: list[Any], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return lists of numbers as an array.

    Args:
        values: of any type.
        width: how many numbers each list should have.

    Returns:
        numbers: (n, width) float64, NaN where a value is not such a list.
        given: (n,) int8, see ``Given``.
    """
    numbers = np.full((len(values), width), np.nan)
    given = np.full(len(values), Given.NUMBERS, np.int8)
    for start in range(0, len(values), _BATCH):
        batch = values[start : start + _BATCH]
        block = _read_batch(batch, width)
        if block is not None:
            numbers[start : start + _BATCH] = block
            continue
        for row, value in enumerate(batch, start):
            given[row] = _kind_of(value, width)
            if given[row] == Given.NUMBERS:
                numbers[row] = value
    return numbers, given


def _read_batch(batch: list[Any], width: int) -> np.ndarray | None:
    """Return (n, width) float64, or None if not all are lists of ``width`` sensible numbers."""
    if set(map(type, batch)) != {list} or set(map(len, batch)) != {width}:
        return None
    flat = list(itertools.chain.from_iterable(batch))
    if not set(map(type, flat)) <= {int, float}:
        return None
    try:
        block = np.array(flat, np.float64).reshape(-1, width)
    except OverflowError:  # a whole number that no float can hold
        return None
    return block if (np.abs(block) < LARGEST_COORDINATE).all() else None  # NaN is not


def _kind_of(value: Any, width: int) -> Given:
    if value is None or value == []:
        return Given.NOTHING
    if not isinstance(value, list) or not set(map(type, value)) <= {int, float}:
        return Given.MALFORMED
    if not are_numbers(value, len(value)):
        return Given.MALFORMED
    return Given.NUMBERS if len(value) == width else Given.OTHER_LENGTH
