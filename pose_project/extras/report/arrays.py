"""Ground truth and results as arrays: what the analysis reads, and in which units."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_project.structures import KeypointSchema


@dataclass(frozen=True)
class Photos:
    """The photos of the ground truth, in the order of their ids, which is COCO's.

    Attributes:
        ids: (P,) int64, ascending.
        file_names: P names as in the file.
        sizes_wh: (P, 2) pixels, NaN where the file does not say.
    """

    ids: np.ndarray
    file_names: list[str]
    sizes_wh: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def index(self, ids: np.ndarray) -> np.ndarray:
        """Return for each id its place in ``self.ids``, -1 where there is no such photo."""
        places = np.searchsorted(self.ids, ids).clip(max=max(len(self.ids) - 1, 0))
        return np.where(self.ids[places] == ids, places, -1) if len(self.ids) else ids * 0 - 1


@dataclass(frozen=True)
class People:
    """G annotated instances of one category, in the order of the file.

    Attributes:
        ids: (G,) of the annotations.
        photo: (G,) place in :class:`Photos`.
        boxes: (G, 4) XYWH_ABS.
        areas: (G,) square pixels; the box's where the file gives none.
        keypoints: (G, K, 3) as (x, y, v), pixel indices as in COCO's files.
        is_crowd: (G,) bool.
        unlabelled: (G,) bool, no labelled keypoints (``num_keypoints`` is 0).
    """

    ids: np.ndarray
    photo: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    keypoints: np.ndarray
    is_crowd: np.ndarray
    unlabelled: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """(G, K) bool, v > 0."""
        return self.keypoints[..., 2] > 0

    @property
    def ignored(self) -> np.ndarray:
        """(G,) bool, what COCO's keypoint evaluation neither asks for nor counts."""
        return self.is_crowd | self.unlabelled


@dataclass(frozen=True)
class Predictions:
    """D predicted instances of one category, in the order of the file.

    They are rows of a results file, over all images and whoever wrote it: XYWH boxes and pixel
    indices as there, and no image sizes. A model's predictions for an image are ``Poses``.

    Attributes:
        photo: (D,) place in :class:`Photos`.
        scores: (D,).
        boxes: (D, 4) XYWH_ABS; around the keypoints where the file gives none.
        areas: (D,) of the boxes.
        keypoints: (D, K, 3) as (x, y, score), pixel indices.
    """

    photo: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    keypoints: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Category:
    """One kind of instance: what its keypoints are, and who is there."""

    id: int
    name: str
    schema: KeypointSchema
    people: People


@dataclass(frozen=True)
class Truth:
    """A ground truth.

    Attributes:
        photos: all of them.
        categories: those with keypoints, by id.
        other_categories: ids of those without, which are left out.
        coco: the content in COCO's format with every field that COCO's evaluation reads.
        notes: what a reader of the numbers should know.
    """

    photos: Photos
    categories: list[Category]
    other_categories: frozenset[int]
    coco: dict[str, Any]
    notes: list[str]


@dataclass(frozen=True)
class Results:
    """A model's results.

    Attributes:
        predictions: for each of ``Truth.categories``.
        has_boxes: whether every result has a box of its own.
        coco: in COCO's format, categories with keypoints only, each with a box.
        notes: what a reader of the numbers should know.
    """

    predictions: list[Predictions]
    has_boxes: bool
    coco: list[dict[str, Any]]
    notes: list[str]
