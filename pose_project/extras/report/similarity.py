"""How alike every prediction and every person of a photo are: OKS, keypoint by keypoint, and IoU.

A *pair* is a prediction beside a person of the same photo and category. All that follows reads one
flat table of pairs, so that nothing loops over photos. Letters: N pairs, K keypoints.
"""

from dataclasses import dataclass

import numpy as np

from pose_project.extras.report.arrays import Category, People, Predictions
from pose_project.structures.boxes import shared_area
from pose_project.structures.oks import keypoint_similarity, similarity_at


@dataclass(frozen=True)
class Pairs:
    """All pairs of a category; a prediction's pairs stand together, in the order of the people.

    Attributes:
        prediction: (N,) places in :class:`Predictions`.
        person: (N,) places in :class:`People`.
    """

    prediction: np.ndarray
    person: np.ndarray


@dataclass(frozen=True)
class Pairing:
    """A category's people, its predictions, and how alike they are.

    Attributes:
        category: with the people.
        predictions: of the category.
        pairs: N of the two.
        oks: (N,) in 0-1, as pycocotools computes it.
        similarity: (N, K) its terms, 0 where a keypoint is not labelled.
    """

    category: Category
    predictions: Predictions
    pairs: Pairs
    oks: np.ndarray
    similarity: np.ndarray

    @property
    def sigmas(self) -> np.ndarray:
        """(K,) COCO's constants."""
        return np.array(self.category.schema.oks_sigmas)


def pair_up(category: Category, predictions: Predictions) -> Pairing:
    """Compute OKS of every prediction and person of the same photo."""
    people = category.people
    pairs = make_pairs(predictions.photo, people.photo)
    sigmas = np.array(category.schema.oks_sigmas)
    points = predictions.keypoints[pairs.prediction, :, :2]
    return Pairing(category, predictions, pairs, *pairwise_oks(points, people, pairs, sigmas))


def make_pairs(prediction_photo: np.ndarray, person_photo: np.ndarray) -> Pairs:
    """Return every prediction beside every person of its photo; (D,) and (G,) places of photos."""
    by_photo = np.argsort(person_photo, kind="stable")
    sorted_photos = person_photo[by_photo]
    first = np.searchsorted(sorted_photos, prediction_photo, "left")
    counts = np.searchsorted(sorted_photos, prediction_photo, "right") - first
    prediction = np.repeat(np.arange(len(prediction_photo)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Pairs(prediction, by_photo[np.repeat(first, counts) + within])


def box_similarity(
    predicted: np.ndarray, boxes: np.ndarray, areas: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """Return what COCO takes for people without labelled keypoints: the distance to their box.

    Args:
        predicted: (N, K, 2) pixels.
        boxes: (N, 4) XYWH_ABS; a keypoint in a box three times as large has distance 0.
        areas: (N,) square pixels.
        sigmas: (K,) COCO's constants.

    Returns:
        (N, K) in 0-1.
    """
    low, high = boxes[:, None, :2] - boxes[:, None, 2:], boxes[:, None, :2] + 2 * boxes[:, None, 2:]
    beyond = np.maximum(0, low - predicted) + np.maximum(0, predicted - high)
    return similarity_at(np.einsum("nkc,nkc->nk", beyond, beyond), areas, sigmas)


def pairwise_oks(
    points: np.ndarray, people: People, pairs: Pairs, sigmas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return OKS of every pair as pycocotools computes it, and its terms.

    Args:
        points: (N, K, 2) what is predicted, of each pair.
        people: with ``keypoints`` as (x, y, v).
        pairs: N of them.
        sigmas: (K,) COCO's constants.

    Returns:
        oks: (N,) in 0-1; the mean over labelled keypoints, or over all of them by their distance
            to the box where none is labelled.
        similarity: (N, K) of each keypoint; 0 where it is not labelled.
    """
    truth = people.keypoints[pairs.person]
    areas = people.areas[pairs.person]
    labelled = truth[..., 2] > 0
    similarity = keypoint_similarity(points, truth[..., :2], areas, sigmas) * labelled
    oks = similarity.sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
    bare = ~labelled.any(axis=1)
    boxes = people.boxes[pairs.person[bare]]
    oks[bare] = box_similarity(points[bare], boxes, areas[bare], sigmas).mean(axis=1)
    return oks, similarity


def box_iou(predictions: Predictions, people: People, pairs: Pairs) -> np.ndarray:
    """Return (N,) IoU of boxes; with a crowd, the share of the prediction that lies in it."""
    a, b = predictions.boxes[pairs.prediction], people.boxes[pairs.person]
    corners = [np.hstack([each[:, :2], each[:, :2] + each[:, 2:]]) for each in (a, b)]
    common = shared_area(*corners)
    area_a, area_b = a[:, 2] * a[:, 3], b[:, 2] * b[:, 3]
    union = np.where(people.is_crowd[pairs.person], area_a, area_a + area_b - common)
    return np.divide(common, union, out=np.zeros(len(common)), where=union > 0)
