"""Whether scores mean what they say: of instances against OKS, of keypoints against one sigma."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from pose_project.extras.report.diagnosis import Diagnosis
from pose_project.extras.report.similarity import Pairing

NUM_BINS = 10
_TEMPERATURES = (0.1, 10.0)
ONE_SIGMA = float(np.exp(-0.5))
"""Keypoint similarity at a distance of one sigma, d = 2 sigma_k sqrt(area)."""


def score_calibration(pairing: Pairing, diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the reliability of both kinds of scores; see :func:`reliability`.

    An instance's outcome is its OKS with the person it was matched to at 0.1, and 0 where it is a
    false positive; predictions of ignored people are left out. A keypoint's outcome is whether it
    lies within one sigma, of labelled keypoints of matched people.
    """
    predictions, people = pairing.predictions, pairing.category.people
    instances = np.concatenate([diagnosis.prediction, diagnosis.false_positives])
    oks = np.concatenate([diagnosis.oks, np.zeros(len(diagnosis.false_positives))])
    points = predictions.keypoints[diagnosis.prediction]
    truth = people.keypoints[diagnosis.person]
    scale = 2 * pairing.sigmas * np.sqrt(people.areas[diagnosis.person])[:, None]
    is_near = np.linalg.norm(points[..., :2] - truth[..., :2], axis=-1) <= scale
    labelled = truth[..., 2] > 0
    return {
        "instances": reliability(predictions.scores[instances], oks),
        "keypoints": reliability(points[..., 2][labelled], is_near[labelled].astype(np.float64)),
    }


def reliability(scores: np.ndarray, outcomes: np.ndarray) -> dict[str, Any] | None:
    """Return bins of equal width with the mean score and the mean outcome in each.

    Args:
        scores: (N,); probabilities if all lie in 0-1.
        outcomes: (N,) in 0-1.

    Returns:
        ``bins`` with ``low high count score outcome`` (empty ones left out), ``count`` and ``ece``,
        the expected calibration error: the mean distance of the two, weighted by count (Guo et
        al., ICML 2017, section 2); ``temperature``, see :func:`fit_temperature`, and
        ``ece_at_temperature``, the error that would remain. These three are None where scores are
        no probabilities. The bins then span the scores there are. None as a whole without scores,
        or where all are the same.
    """
    if len(scores) == 0 or scores.min() == scores.max():
        return None
    curve = _curve(scores, outcomes)
    if curve["ece"] is None:
        return {**curve, "temperature": None, "ece_at_temperature": None}
    temperature = fit_temperature(scores, outcomes)
    after = _curve(expit(_logit(scores) / temperature), outcomes)
    return {**curve, "temperature": temperature, "ece_at_temperature": after["ece"]}


def fit_temperature(scores: np.ndarray, outcomes: np.ndarray) -> float:
    """Return the temperature T at which sigmoid(logit(score) / T) is most likely the outcome.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2, for two classes;
    0.1 to 10. Above 1 where scores are too sure of themselves.

    Args:
        scores: (N,) probabilities, N at least 1.
        outcomes: (N,) in 0-1.
    """
    logits = _logit(scores)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return -(outcomes * log_expit(scaled) + (1 - outcomes) * log_expit(-scaled)).mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(_TEMPERATURES)).x))


def _logit(scores: np.ndarray) -> np.ndarray:
    return logit(scores.astype(np.float64).clip(1e-6, 1 - 1e-6))


def _curve(scores: np.ndarray, outcomes: np.ndarray) -> dict[str, Any]:
    is_probability = scores.min() >= 0 and scores.max() <= 1
    low, high = (0.0, 1.0) if is_probability else (float(scores.min()), float(scores.max()))
    edges = np.linspace(low, high, NUM_BINS + 1)
    places = (np.searchsorted(edges, scores, "right") - 1).clip(0, NUM_BINS - 1)
    counts = np.bincount(places, minlength=NUM_BINS)
    filled = np.flatnonzero(counts)
    mean_score = np.bincount(places, scores, NUM_BINS)[filled] / counts[filled]
    mean_outcome = np.bincount(places, outcomes, NUM_BINS)[filled] / counts[filled]
    gaps = np.abs(mean_score - mean_outcome)
    return {
        "count": len(scores),
        "ece": float((gaps * counts[filled]).sum() / len(scores)) if is_probability else None,
        "bins": [
            {
                "low": float(edges[place]),
                "high": float(edges[place + 1]),
                "count": int(counts[place]),
                "score": float(score),
                "outcome": float(outcome),
            }
            for place, score, outcome in zip(filled, mean_score, mean_outcome, strict=True)
        ],
    }
