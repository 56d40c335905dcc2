"""What each type of error costs: AP after it is corrected, and after scores are made optimal."""

from dataclasses import replace
from typing import Any

import numpy as np

from pose_project.extras.report.diagnosis import (
    GOOD_SIMILARITY,
    INVERSION,
    JITTER,
    JITTER_SIMILARITY,
    KINDS,
    LOWEST_OKS,
    MISS,
    SWAP,
    Diagnosis,
    oks_of,
)
from pose_project.extras.report.matching import match
from pose_project.extras.report.precision import RankedMatches
from pose_project.extras.report.similarity import Pairing, Pairs, pairwise_oks


def score_gains(pairing: Pairing, diagnosis: Diagnosis, num_photos: int) -> dict[str, Any]:
    """Return counts of every type of error and the AP that its correction alone would bring.

    Returns:
        ``keypoints`` {kind: count}, ``per_keypoint`` {kind: K counts}, ``false_positives``,
        ``false_negatives``, ``AP`` as it is and ``gain`` {type: points of AP}, in percent;
        ``optimal_score`` is among the types.
    """
    people, predictions = pairing.category.people, pairing.predictions
    scores = predictions.scores

    def average_precision(
        oks: np.ndarray = pairing.oks,
        ignored: np.ndarray = people.ignored,
        ranks: np.ndarray = scores,
        removed: np.ndarray | None = None,
    ) -> float:
        matches = match(predictions, people, pairing.pairs, oks, ignored, scores=ranks)
        if removed is not None:
            left_out = np.isin(matches.prediction, removed) & ~matches.is_true
            matches = replace(matches, counted=matches.counted & ~left_out)
        return RankedMatches(matches, predictions, people, num_photos).summary()["AP"]

    base = average_precision()
    after = {
        KINDS[kind]: average_precision(_corrected_oks(pairing, diagnosis, kind))
        for kind in (JITTER, INVERSION, SWAP, MISS)
    }
    after["false_positives"] = average_precision(removed=diagnosis.false_positives)
    without_missed = people.ignored.copy()
    without_missed[diagnosis.false_negatives] = True
    after["false_negatives"] = average_precision(ignored=without_missed)
    after["optimal_score"] = average_precision(ranks=optimal_scores(pairing))
    per_kind = {
        name: (diagnosis.kinds == kind).sum(axis=0).tolist() for kind, name in enumerate(KINDS)
    }
    return {
        "keypoints": {name: sum(counts) for name, counts in per_kind.items()},
        "per_keypoint": per_kind,
        "people": int((~people.ignored).sum()),
        "matched": len(diagnosis.prediction),
        "false_positives": len(diagnosis.false_positives),
        "false_negatives": len(diagnosis.false_negatives),
        "AP": base,
        "gain": {name: value - base for name, value in after.items()},
    }


def optimal_scores(pairing: Pairing) -> np.ndarray:
    """Return (D,) the scores with which these predictions reach their highest AP (section 4.2).

    Whoever is most similar to a person gets that OKS as score; whoever comes too late, and
    background, gets 0. Then no false positive stands before a true one at any threshold. The paper
    gives duplicates their OKS as well, by which they can stand before true ones.
    """
    predictions, people = pairing.predictions, pairing.category.people
    wanted = ~people.ignored[pairing.pairs.person]
    best = np.zeros(len(predictions))
    np.maximum.at(best, pairing.pairs.prediction[wanted], pairing.oks[wanted])
    lowest = np.array([LOWEST_OKS])
    matches = match(
        predictions,
        people,
        pairing.pairs,
        pairing.oks,
        people.ignored,
        thresholds=lowest,
        scores=best,
    )
    is_true = matches.is_true[0]
    found = matches.prediction[is_true]
    scores = np.zeros(len(predictions))
    scores[found] = oks_of(pairing, found, matches.person[0, is_true])
    return scores


def corrected_keypoints(pairing: Pairing, diagnosis: Diagnosis, kind: int) -> np.ndarray:
    """Return (D, K, 2) the predicted places, those of one type of error corrected.

    As in the paper (section 4.1), a correction is not an oracle. Jitter is moved to where it would
    just be good, a miss to where it would just be jitter, and an inversion or swap as close to its
    right place as it was to the wrong one. Each is moved along the line to its right place, where
    the authors' code takes the horizontal.
    """
    points = pairing.predictions.keypoints[..., :2].copy()
    row, keypoint = np.nonzero(diagnosis.kinds == kind)
    prediction, person = diagnosis.prediction[row], diagnosis.person[row]
    people = pairing.category.people
    target = {JITTER: GOOD_SIMILARITY, MISS: JITTER_SIMILARITY}.get(kind)
    if target is None:
        target = diagnosis.nearest_similarity[row, keypoint]
    scale = 2 * pairing.sigmas[keypoint] * np.sqrt(people.areas[person])
    distance = scale * np.sqrt(-2 * np.log(np.minimum(target, 1)))
    truth = people.keypoints[person, keypoint, :2]
    offset = points[prediction, keypoint] - truth
    length = np.linalg.norm(offset, axis=1)
    points[prediction, keypoint] = truth + offset * (distance / np.maximum(length, 1e-9))[:, None]
    return points


def _corrected_oks(pairing: Pairing, diagnosis: Diagnosis, kind: int) -> np.ndarray:
    """Return (N,) OKS of all pairs; only those of corrected predictions are computed anew."""
    changed = diagnosis.prediction[(diagnosis.kinds == kind).any(axis=1)]
    rows = np.flatnonzero(np.isin(pairing.pairs.prediction, changed))
    pairs = Pairs(pairing.pairs.prediction[rows], pairing.pairs.person[rows])
    points = corrected_keypoints(pairing, diagnosis, kind)[pairs.prediction]
    oks = pairing.oks.copy()
    oks[rows], _ = pairwise_oks(points, pairing.category.people, pairs, pairing.sigmas)
    return oks
