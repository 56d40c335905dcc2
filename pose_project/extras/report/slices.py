"""COCO's numbers on parts of the ground truth: by area, keypoints, occlusion, truncation, crowding.

People outside of a slice are ignored, as COCO ignores those out of an area range: a prediction of
them counts neither for nor against. Slices by crowding are whole photos. Every slice equals
pycocotools on a ground truth in which ``num_keypoints`` of the others is 0 (or their photos are not
among ``imgIds``).
"""

from typing import Any

import numpy as np

from pose_project.extras.report.arrays import People, Photos
from pose_project.extras.report.headline import AREAS
from pose_project.extras.report.matching import match
from pose_project.extras.report.precision import RankedMatches
from pose_project.extras.report.similarity import Pairing, make_pairs

_BORDER_PX = 1.0
# Shares of K: of COCO's 17 keypoints 1-5, 6-10, 11-15, 16-17 (Ronchi and Perona, section 5).
_KEYPOINT_SHARES = (5 / 17, 10 / 17, 15 / 17, 1.0)
_OCCLUSION = (("none", -0.01, 0.0), ("up to a half", 0.0, 0.5), ("more than a half", 0.5, 1.0))
# CrowdPose (Li et al., CVPR 2019), section 3.3 and its evaluation: easy, medium and hard.
_CROWDING = (("easy", -0.01, 0.1), ("medium", 0.1, 0.8), ("hard", 0.8, 1.0))


def score_slices(pairing: Pairing, photos: Photos) -> list[dict[str, Any]]:
    """Return a row for each slice that has somebody in it.

    Returns:
        ``by`` and ``slice``, ``people`` who are to be found, and ``AP AP50 AP75 AR`` in percent.
    """
    people = pairing.category.people
    rows = []
    for name in ("small", "medium", "large"):
        rows.append(("area", name, _ranked(pairing, photos, people.ignored, AREAS[name]), None))
    for by, slices in (
        ("labelled keypoints", _by_keypoints(people)),
        ("occlusion", _by_share(_OCCLUSION, occluded_share(people))),
        ("truncation", _by_truncation(people, photos)),
    ):
        for name, inside in slices:
            rows.append((by, name, _ranked(pairing, photos, people.ignored | ~inside), None))
    everybody = _ranked(pairing, photos, people.ignored)
    for name, inside in _by_share(_CROWDING, crowd_index(people, len(photos))):
        rows.append(("crowding", name, everybody, inside.astype(np.float64)))
    return [row for each in rows if (row := _row(*each))["people"]]


def occluded_share(people: People) -> np.ndarray:
    """Return (G,) the share of labelled keypoints that are hidden, v = 1; 0 without labels."""
    hidden = (people.keypoints[..., 2] == 1).sum(axis=1)
    return hidden / np.maximum(people.labelled.sum(axis=1), 1)


def touches_border(people: People, photos: Photos) -> np.ndarray:
    """Return (G,) bool, the box ends within a pixel of the photo's border; False without a size."""
    boxes, sizes = people.boxes, photos.sizes_wh[people.photo]
    near = (boxes[:, :2] <= _BORDER_PX) | (boxes[:, :2] + boxes[:, 2:] >= sizes - _BORDER_PX)
    return near.any(axis=1) & ~np.isnan(sizes).any(axis=1)


def crowd_index(people: People, num_photos: int) -> np.ndarray:
    """Return (P,) CrowdPose's index of each photo, 0 (everybody alone) to 1.

    The mean over people of how many labelled keypoints of others lie in their box, for each of
    their own there; at most 1 a person (Li et al., CVPR 2019, equation 7). NaN without people.
    """
    rows = np.flatnonzero(~people.ignored)
    pairs = make_pairs(people.photo[rows], people.photo[rows])
    owner, other = rows[pairs.prediction], rows[pairs.person]
    low = people.boxes[owner, None, :2]
    points = people.keypoints[other]
    inside = (points[..., :2] >= low) & (points[..., :2] <= low + people.boxes[owner, None, 2:])
    counts = (inside.all(axis=-1) & (points[..., 2] > 0)).sum(axis=1)
    is_self = owner == other
    num_people = len(people.ids)
    own = np.bincount(owner[is_self], counts[is_self], num_people)
    others = np.bincount(owner[~is_self], counts[~is_self], num_people)
    share = np.minimum(others / np.maximum(own, 1), 1)[rows]
    totals = np.bincount(people.photo[rows], share, num_photos)
    present = np.bincount(people.photo[rows], minlength=num_photos)
    return np.divide(totals, present, out=np.full(num_photos, np.nan), where=present > 0)


def _by_keypoints(people: People) -> list[tuple[str, np.ndarray]]:
    num_keypoints = people.keypoints.shape[1]
    ends = sorted({max(1, round(share * num_keypoints)) for share in _KEYPOINT_SHARES})
    counts = people.labelled.sum(axis=1)
    slices = []
    for first, last in zip([1, *(end + 1 for end in ends)], ends, strict=False):
        name = f"{first}-{last}" if first < last else str(first)
        slices.append((name, (counts >= first) & (counts <= last)))
    return slices


def _by_share(
    bounds: tuple[tuple[str, float, float], ...], shares: np.ndarray
) -> list[tuple[str, np.ndarray]]:
    return [(name, (shares > above) & (shares <= up_to)) for name, above, up_to in bounds]


def _by_truncation(people: People, photos: Photos) -> list[tuple[str, np.ndarray]]:
    cut = touches_border(people, photos)
    return [("inside the photo", ~cut), ("at its border", cut)]


def _ranked(
    pairing: Pairing,
    photos: Photos,
    ignored: np.ndarray,
    area_range: tuple[float, float] = (0, np.inf),
) -> RankedMatches:
    people, predictions = pairing.category.people, pairing.predictions
    matches = match(predictions, people, pairing.pairs, pairing.oks, ignored, area_range=area_range)
    return RankedMatches(matches, predictions, people, len(photos))


def _row(by: str, name: str, ranked: RankedMatches, weights: np.ndarray | None) -> dict[str, Any]:
    return {
        "by": by,
        "slice": name,
        "people": ranked.num_people(weights),
        **ranked.summary(weights),
    }
