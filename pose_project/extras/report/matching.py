"""Which prediction is which person: COCO's greedy matching, all photos and thresholds at once.

hotcoco matches as well, and computes the headline numbers. Here the similarities themselves are
varied (one keypoint, corrected keypoints, other scores) some fifty times a report; a variant is a
few array operations on the table of pairs, where a library would have to be given new files.
"""

from dataclasses import dataclass

import numpy as np

from pose_project.extras.report.arrays import People, Predictions
from pose_project.extras.report.similarity import Pairs

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's of OKS and IoU."""


@dataclass(frozen=True)
class Matches:
    """The outcome of matching at T thresholds, predictions by falling score over all photos.

    Attributes:
        prediction: (M,) places in :class:`Predictions`, at most ``max_detections`` a photo.
        person: (T, M) places in :class:`People`, -1 where unmatched.
        counted: (T, M) bool; False where COCO ignores the prediction: matched to someone ignored,
            or unmatched and out of the area range.
        wanted: (G,) bool, the people who are to be found.
    """

    prediction: np.ndarray
    person: np.ndarray
    counted: np.ndarray
    wanted: np.ndarray

    @property
    def is_true(self) -> np.ndarray:
        """(T, M) bool, found someone who was to be found."""
        return self.counted & (self.person >= 0)


def rank_in_photo(photo: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return (D,) the place of each prediction among those of its photo, 0 for the best.

    Of equal scores the first in the file is the better one.

    >>> rank_in_photo(np.array([7, 7, 8]), np.array([0.1, 0.9, 0.5])).tolist()
    [1, 0, 0]
    """
    order = np.lexsort((-scores, photo))
    starts = np.searchsorted(photo[order], photo[order], "left")
    rank = np.empty(len(photo), np.int64)
    rank[order] = np.arange(len(photo)) - starts
    return rank


def match(
    predictions: Predictions,
    people: People,
    pairs: Pairs,
    similarity: np.ndarray,
    ignored: np.ndarray,
    max_detections: int = 20,
    area_range: tuple[float, float] = (0, np.inf),
    thresholds: np.ndarray = THRESHOLDS,
    scores: np.ndarray | None = None,
) -> Matches:
    """Match as ``COCOeval.evaluateImg`` does.

    The best-scored prediction of a photo chooses first. It takes the most similar person that is
    left and not ignored; if there is none at the threshold, an ignored one; a crowd is never used
    up. Of equally similar people it takes the last.

    Args:
        predictions: D of them.
        people: G of them.
        pairs: N, of the two.
        similarity: (N,) OKS or IoU.
        ignored: (G,) bool; people out of the area range are ignored in addition.
        max_detections: of a photo, the best so many.
        area_range: inclusive, in square pixels.
        thresholds: (T,) of the similarity.
        scores: (D,) in place of those of the predictions.
    """
    scores = predictions.scores if scores is None else scores
    low, high = area_range
    ignored = ignored | (people.areas < low) | (people.areas > high)
    rank = rank_in_photo(predictions.photo, scores)
    matched = _choose(pairs, similarity, rank, ignored, people.is_crowd, max_detections, thresholds)
    order = np.lexsort((rank, predictions.photo, -scores))
    order = order[rank[order] < max_detections]
    person = matched[:, order]
    areas = predictions.areas[order]
    is_outside = (areas < low) | (areas > high)
    counted = np.where(person >= 0, ~np.append(ignored, True)[person], ~is_outside)
    return Matches(order, person, counted, ~ignored)


def _choose(
    pairs: Pairs,
    similarity: np.ndarray,
    rank: np.ndarray,
    ignored: np.ndarray,
    is_crowd: np.ndarray,
    max_detections: int,
    thresholds: np.ndarray,
) -> np.ndarray:
    """Return (T, D) the chosen people: one round for each rank, all photos side by side."""
    limits = np.minimum(thresholds, 1 - 1e-10)[:, None]  # as COCO, for a threshold of 1
    near = similarity >= limits.min()
    pairs, similarity = Pairs(pairs.prediction[near], pairs.person[near]), similarity[near]
    # A single number orders the pairs: not ignored before ignored, then by similarity, then last.
    weakest_first = np.lexsort((similarity, ~ignored[pairs.person]))
    strength = np.empty(len(weakest_first), np.int64)
    strength[weakest_first] = np.arange(1, len(weakest_first) + 1)
    is_left = np.ones((len(thresholds), len(ignored)), bool)
    chosen = np.full((len(thresholds), len(rank)), -1)
    by_rank = np.argsort(rank[pairs.prediction], kind="stable")
    bounds = np.searchsorted(rank[pairs.prediction][by_rank], np.arange(max_detections + 1))
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        if start == stop:
            continue
        rows = by_rank[start:stop]
        prediction, person = pairs.prediction[rows], pairs.person[rows]
        possible = (similarity[rows] >= limits) & (is_left[:, person] | is_crowd[person])
        firsts = np.flatnonzero(np.diff(prediction, prepend=-1))
        best = np.maximum.reduceat(np.where(possible, strength[rows], 0), firsts, axis=1)
        threshold, column = np.nonzero(best)
        winner = pairs.person[weakest_first[best[threshold, column] - 1]]
        chosen[threshold, prediction[firsts][column]] = winner
        is_left[threshold, winner] = False
    return chosen
