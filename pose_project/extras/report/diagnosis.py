"""What is wrong with each keypoint: jitter, inversion, swap or miss (Ronchi and Perona, ICCV 2017).

A matched prediction's keypoint is compared with four kinds of places: the same keypoint of the same
person; its mirror image (left for right) on the same person; either of them on another person. The
most similar place decides, each at the scale of its own person (section 3.1 of the paper):

- below 0.5 everywhere: *miss*;
- the right place: *good* from 0.85, *jitter* below;
- the mirror image: *inversion*;
- another person: *swap*.
"""

from dataclasses import dataclass

import numpy as np

from pose_project.extras.report.arrays import Category
from pose_project.extras.report.matching import match
from pose_project.extras.report.similarity import Pairing
from pose_project.structures.oks import keypoint_similarity

KINDS = ("good", "jitter", "inversion", "swap", "miss")
GOOD, JITTER, INVERSION, SWAP, MISS = range(len(KINDS))
NOT_LABELLED = -1
GOOD_SIMILARITY, JITTER_SIMILARITY = 0.85, 0.5
LOWEST_OKS = 0.1
"""At which a prediction is still about a person; below, it is background (section 3.1)."""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that is right or wrong in one category.

    Attributes:
        prediction: (M,) matched predictions, places in ``Predictions``.
        person: (M,) whom they are, places in ``People``.
        oks: (M,) of the two.
        kinds: (M, K) places in ``KINDS``; -1 where the keypoint is not labelled.
        nearest_similarity: (M, K) that of the most similar place.
        false_positives: predictions of nobody, or of somebody who was found by a better one.
        false_negatives: people whom no prediction is about.
    """

    prediction: np.ndarray
    person: np.ndarray
    oks: np.ndarray
    kinds: np.ndarray
    nearest_similarity: np.ndarray
    false_positives: np.ndarray
    false_negatives: np.ndarray


def diagnose(pairing: Pairing) -> Diagnosis:
    """Match at an OKS of 0.1 and name what is wrong with each labelled keypoint.

    Ignored people and the predictions of them are left out.
    """
    people = pairing.category.people
    matches = match(
        pairing.predictions,
        people,
        pairing.pairs,
        pairing.oks,
        people.ignored,
        thresholds=np.array([LOWEST_OKS]),
    )
    is_true = matches.is_true[0]
    prediction, person = matches.prediction[is_true], matches.person[0, is_true]
    unmatched = matches.counted[0] & ~is_true
    wanted = matches.wanted.copy()
    wanted[person] = False
    same, mirrored, others = _similar_places(pairing, prediction, person)
    places = np.stack([same, mirrored, others])
    nearest, best = places.argmax(axis=0), places.max(axis=0)
    kinds = np.select(
        [best < JITTER_SIMILARITY, nearest == 1, nearest == 2, best < GOOD_SIMILARITY],
        [MISS, INVERSION, SWAP, JITTER],
        GOOD,
    )
    kinds[~people.labelled[person]] = NOT_LABELLED
    return Diagnosis(
        prediction,
        person,
        oks_of(pairing, prediction, person),
        kinds,
        best,
        matches.prediction[unmatched],
        np.flatnonzero(wanted),
    )


def mirrored_similarity(
    category: Category, points: np.ndarray, person: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """Return (N, K) the similarity of each keypoint with its mirror image on the person.

    Args:
        category: with the people.
        points: (N, K, 2) what is predicted.
        person: (N,) of whom.
        sigmas: (K,) COCO's constants.

    Returns:
        0 where the mirror image is not labelled or the keypoint has none.
    """
    mirror = np.array(category.schema.hflip_indices)
    truth = category.people.keypoints[person][:, mirror]
    possible = (truth[..., 2] > 0) & (mirror != np.arange(len(mirror)))
    areas = category.people.areas[person]
    return keypoint_similarity(points, truth[..., :2], areas, sigmas) * possible


def _similar_places(
    pairing: Pairing, prediction: np.ndarray, person: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (M, K) similarities: with the right place, its mirror image, and other people."""
    people = pairing.category.people
    row_of = np.full(len(pairing.predictions), -1)
    row_of[prediction] = np.arange(len(prediction))
    rows = row_of[pairing.pairs.prediction]
    used = (rows >= 0) & ~people.ignored[pairing.pairs.person]
    rows, person_of = rows[used], pairing.pairs.person[used]
    points = pairing.predictions.keypoints[pairing.pairs.prediction[used], :, :2]
    straight = pairing.similarity[used]
    crossed = mirrored_similarity(pairing.category, points, person_of, pairing.sigmas)
    shape = (len(prediction), straight.shape[1])
    same, mirrored, others = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    is_own = person_of == person[rows]
    same[rows[is_own]], mirrored[rows[is_own]] = straight[is_own], crossed[is_own]
    np.maximum.at(others, rows[~is_own], np.maximum(straight, crossed)[~is_own])
    return same, mirrored, others


def oks_of(pairing: Pairing, prediction: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return (M,) OKS of predictions and the people they were matched to, both (M,) places."""
    matched = np.full(len(pairing.predictions), -1)
    matched[prediction] = person
    rows = matched[pairing.pairs.prediction] == pairing.pairs.person
    oks = np.zeros(len(pairing.predictions))
    oks[pairing.pairs.prediction[rows]] = pairing.oks[rows]
    return oks[prediction]
