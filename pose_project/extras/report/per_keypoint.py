"""Keypoint by keypoint: AP with that one alone, PCK, and distances in pixels and in sigmas.

PCK and distances are of labelled keypoints of people who were found at an OKS of 0.1; whom nobody
found is a matter of recall.
"""

from typing import Any

import numpy as np

from pose_project.extras.report.arrays import People
from pose_project.extras.report.diagnosis import Diagnosis
from pose_project.extras.report.matching import match
from pose_project.extras.report.precision import RankedMatches
from pose_project.extras.report.similarity import Pairing, box_similarity
from pose_project.structures import KeypointSchema

PCK_THRESHOLDS = (0.05, 0.1, 0.2)
CURVE_THRESHOLDS = np.linspace(0, 0.3, 31)
"""Of the box's diagonal."""
# Which two keypoints span a length that PCK is measured by, in the spellings that datasets use.
_LENGTHS = {
    "torso": (("left_shoulder", "right_hip"), ("l_shoulder", "r_hip"), ("lsho", "rhip")),
    "head": (
        ("head", "neck"),
        ("head_top", "neck"),
        ("head_top", "upper_neck"),
        ("head", "thorax"),
    ),
}


def score_keypoints(pairing: Pairing, diagnosis: Diagnosis, num_photos: int) -> dict[str, Any]:
    """Return the numbers of every keypoint, and of all of them together.

    Returns:
        ``rows``, one for each keypoint and last one for ``all``: ``keypoint``, ``sigma``, how many
        are ``labelled`` and ``measured``, ``AP AP50 AP75 AR`` in percent with the keypoint alone,
        ``pck`` {length: {threshold: percent}}, ``error_px`` and ``error_sigmas`` with ``mean`` and
        ``median``. ``curves``: ``thresholds`` of the box's diagonal, and for each keypoint and all
        the ``percent`` within them.
    """
    people = pairing.category.people
    names = pairing.category.schema.names
    points = pairing.predictions.keypoints[diagnosis.prediction, :, :2]
    truth = people.keypoints[diagnosis.person]
    distance = np.linalg.norm(points - truth[..., :2], axis=-1)
    distance[truth[..., 2] <= 0] = np.nan
    areas = np.maximum(people.areas[diagnosis.person], np.spacing(1))
    in_sigmas = distance / (2 * pairing.sigmas * np.sqrt(areas)[:, None])
    lengths = reference_lengths(people, pairing.category.schema)
    shares = {
        name: distance / np.where(length > 0, length, np.nan)[diagnosis.person, None]
        for name, length in lengths.items()
    }
    labelled = people.labelled & ~people.ignored[:, None]
    columns = [(name, slice(k, k + 1)) for k, name in enumerate(names)] + [("all", slice(None))]
    rows = []
    for name, column in columns:
        ranked = _alone(pairing, column, num_photos)
        rows.append(
            {
                "keypoint": name,
                "sigma": None if name == "all" else float(pairing.sigmas[column][0]),
                "labelled": int(labelled[:, column].sum()),
                "measured": int(np.isfinite(distance[:, column]).sum()),
                **ranked.summary(),
                "pck": {
                    length: {
                        f"{limit:g}": _within(share[:, column], limit) for limit in PCK_THRESHOLDS
                    }
                    for length, share in shares.items()
                },
                "error_px": _mean_and_median(distance[:, column]),
                "error_sigmas": _mean_and_median(in_sigmas[:, column]),
            }
        )
    diagonal = shares["box diagonal"]
    return {
        "rows": rows,
        "curves": {
            "thresholds": CURVE_THRESHOLDS.tolist(),
            "percent": {name: _curve(diagonal[:, column]) for name, column in columns},
        },
    }


def reference_lengths(people: People, schema: KeypointSchema) -> dict[str, np.ndarray]:
    """Return {name: (G,) pixels} that distances are divided by for PCK.

    ``box diagonal`` for every skeleton; ``torso``, left shoulder to right hip, and ``head``, its
    top to the neck, where the skeleton has them. NaN where one of the two is not labelled.
    """
    lengths = {"box diagonal": np.hypot(people.boxes[:, 2], people.boxes[:, 3])}
    places = {
        name.lower().replace("-", "_").replace(" ", "_"): k for k, name in enumerate(schema.names)
    }
    for name, spellings in _LENGTHS.items():
        ends = next((pair for pair in spellings if set(pair) <= places.keys()), None)
        if ends is not None:
            a, b = (people.keypoints[:, places[end]] for end in ends)
            length = np.linalg.norm(a[:, :2] - b[:, :2], axis=1)
            lengths[name] = np.where((a[:, 2] > 0) & (b[:, 2] > 0), length, np.nan)
    return lengths


def _alone(pairing: Pairing, column: slice, num_photos: int) -> RankedMatches:
    """Match as in a dataset that has no other keypoints."""
    people, pairs = pairing.category.people, pairing.pairs
    similarity = pairing.similarity[:, column]
    labelled = people.labelled[:, column]
    counts = labelled.sum(axis=1)
    oks = similarity.sum(axis=1) / np.maximum(counts, 1)[pairs.person]
    bare = (counts == 0)[pairs.person]
    person = pairs.person[bare]
    points = pairing.predictions.keypoints[pairs.prediction[bare], column, :2]
    sigmas = pairing.sigmas[column]
    oks[bare] = box_similarity(points, people.boxes[person], people.areas[person], sigmas).mean(
        axis=1
    )
    ignored = people.ignored | (counts == 0)
    matches = match(pairing.predictions, people, pairs, oks, ignored)
    return RankedMatches(matches, pairing.predictions, people, num_photos)


def _within(shares: np.ndarray, limit: float) -> float:
    known = shares[np.isfinite(shares)]
    return float(100 * (known <= limit).mean()) if len(known) else np.nan


def _curve(shares: np.ndarray) -> list[float]:
    known = np.sort(shares[np.isfinite(shares)])
    counts = np.searchsorted(known, CURVE_THRESHOLDS, "right")
    return (100 * counts / len(known) if len(known) else counts * np.nan).tolist()


def _mean_and_median(values: np.ndarray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return {"mean": np.nan, "median": np.nan}
    return {"mean": float(known.mean()), "median": float(np.median(known))}
