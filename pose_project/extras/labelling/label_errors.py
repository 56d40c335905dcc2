"""Labels that a model contradicts: points far off, sides exchanged, people who are missing.

A *suspect* has a score in 0-1, roughly the probability that the label is wrong: how sure the model
is of what it sees there, times how far the label is from that. Letters: K keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pose_project.extras.labelling.people import areas_of, expected_similarity, match_boxes
from pose_project.extras.labelling.views import Candidate
from pose_project.modeling.spatial_softmax import SpatialSoftmax
from pose_project.structures import KeypointSchema
from pose_project.structures.boxes import box_iou, shared_area
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.structures.oks import similarity_at

POINT, SIDES, PERSON = "suspect-point", "suspect-sides", "suspect-missing"
_LEAST_PRESENCE = 0.3  # of a person who is not labelled
_WRONG = 0.01  # share of labels that are wrong, before anything is seen
_COVERED = 0.5  # of a box within a crowd region, and of two boxes that may be one person's


@dataclass(frozen=True)
class Suspect:
    """A label that is likely to be wrong.

    Attributes:
        code: ``suspect-point``, ``suspect-sides`` or ``suspect-missing``.
        score: in 0-1, how likely.
        image_id: of the photo.
        annotation_id: of the person; None of somebody who is not labelled.
        keypoints: names of the points; empty for a missing person.
        person: what the model sees instead, without its heatmaps.
        why: in words.
    """

    code: str
    score: float
    image_id: int
    annotation_id: int | None
    keypoints: tuple[str, ...]
    person: Candidate
    why: str


def suspects_of(
    image_id: int,
    labels: Sequence[dict[str, Any]],
    people: Sequence[Candidate],
    classes: dict[int, int],
    schema: KeypointSchema,
) -> list[Suspect]:
    """Return what is likely to be wrong with the labels of a photo, in no order.

    Args:
        image_id: of the photo.
        labels: its annotations, complete, in COCO's coordinates.
        people: whom a model sees in it, with heatmaps.
        classes: {category_id: class of the model}.
        schema: of the model.
    """
    crowds = _corners([each for each in labels if each["iscrowd"]])
    labels = [each for each in labels if not each["iscrowd"]]
    boxes = _corners(labels)
    seen = np.reshape([each.box for each in people], (-1, 4))
    pairs = match_boxes(boxes, seen)
    suspects = []
    for own, other in pairs:
        label, person = labels[own], people[other]
        if classes.get(label["category_id"]) != person.class_index:
            continue
        for found in (_exchanged_sides(label, person, schema), _moved_point(label, person, schema)):
            if found is not None:
                code, score, names, why = found
                suspects.append(Suspect(code, score, image_id, label["id"], names, person, why))
                break
    matched = {other for _, other in pairs}
    for place, person in enumerate(people):
        if place in matched or person.presence < _LEAST_PRESENCE:
            continue
        # a part of somebody labelled, or one of a crowd, is not missing
        if (box_iou(person.box[None], boxes) >= _COVERED).any():
            continue
        area = max(float((person.box[2:] - person.box[:2]).prod()), 1.0)
        if (shared_area(person.box[None], crowds) >= _COVERED * area).any():
            continue
        x, y = ((person.box[:2] + person.box[2:]) / 2).round().astype(int).tolist()
        why = f"somebody at ({x}, {y}) is not labelled; the model is sure to {person.presence:.0%}"
        score = person.presence * _mean_similarity(person, schema) * (1 - _overlap(person, boxes))
        suspects.append(Suspect(PERSON, score, image_id, None, (), _light(person), why))
    return suspects


def _moved_point(
    label: dict[str, Any], person: Candidate, schema: KeypointSchema
) -> tuple[str, float, tuple[str, ...], str] | None:
    """Return the suspect of one person's points that lie where the model is sure they are not.

    A point's score is how sure the model is of its own, times how far the label is from that, times
    how well the person's other points agree, times the probability that the label is wrong if a
    share w of all labels is and the model gives its place the probability m: w / (w + m).
    """
    rows, truth, names = _labelled(label, person, schema)
    offset = truth[:, :2] - person.keypoints[rows, :2]
    sigmas, area = np.array(schema.oks_sigmas)[rows], label["area"]
    same = similarity_at((offset**2).sum(axis=1)[None], np.array([area]), sigmas)[0]
    is_labelled = truth[:, 2] > 0
    if is_labelled.sum() < 2:  # one point says nothing about whether it is this person's
        return None
    others = ((same * is_labelled).sum() - same) / (is_labelled.sum() - 1)
    given = _probability_within(person, rows, truth[:, :2], 2 * sigmas * np.sqrt(area))
    sure = person.keypoints[rows, 2] * person.agreement[rows] * person.presence
    scores = sure * (1 - same) * others**2 * _WRONG / (_WRONG + given)
    scores = np.where(is_labelled, scores, 0)
    worst = int(scores.argmax())
    if scores[worst] <= 0:
        return None
    deviations = np.sqrt(
        offset[worst] @ np.linalg.inv(person.covariances[rows[worst]]) @ offset[worst]
    )
    why = (
        f"{names[worst]} is {np.linalg.norm(offset[worst]):.0f} px from where the model sees it, "
        f"{deviations:.0f} of its standard deviations"
    )
    return POINT, float(scores[worst]), (names[worst],), why


def _probability_within(
    person: Candidate, rows: list[int], places: np.ndarray, radii: np.ndarray
) -> np.ndarray:
    """Return (K,) how likely the model finds it that keypoints are within (K,) px of (K, 2)."""
    logits = torch.from_numpy(np.ascontiguousarray(person.heatmaps[rows], np.float32))
    softmax = SpatialSoftmax.of(logits[None], torch.from_numpy(person.box[None]).float())
    points, distances = (torch.from_numpy(each[None]).float() for each in (places, radii))
    return softmax.probability_within(points, distances)[0].double().numpy()


def _exchanged_sides(
    label: dict[str, Any], person: Candidate, schema: KeypointSchema
) -> tuple[str, float, tuple[str, ...], str] | None:
    """Return the suspect of pairs that fit the model better with left and right exchanged."""
    rows, truth, names = _labelled(label, person, schema)
    sigmas, area = np.array(schema.oks_sigmas)[rows], label["area"]
    predicted = person.keypoints[rows]
    own = schema.class_schema(person.class_index)
    gains, sure, wrong = [], [], []
    for left, right in own.flip_pairs:
        pair = [own.names.index(left), own.names.index(right)]
        if (truth[pair, 2] == 0).any():
            continue
        as_is, exchanged = (
            similarity_at(
                ((truth[order, :2] - predicted[pair, :2]) ** 2).sum(axis=1)[None],
                np.array([area]),
                sigmas[pair],
            ).mean()
            for order in (pair, pair[::-1])
        )
        gains.append(exchanged - as_is)
        sure.append(predicted[pair, 2].mean())
        if exchanged - as_is > 0:
            wrong.append((float(exchanged - as_is), left, right))
    wrong.sort(reverse=True)
    strong = [each for each in wrong if each[0] >= 0.3]
    if not strong or sum(gains) <= 0:
        return None
    # pairs that lie on each other say nothing, those that fit as they are speak against it
    weights = np.abs(gains)
    share = float(np.maximum(gains, 0).sum() / weights.sum())
    evidence = float(np.average(sure, weights=weights)) * share * _agreement(person)
    score = evidence * min(1.0, max(gains) + 0.2 * (len(strong) - 1))
    pairs = tuple(name for _, left, right in strong for name in (left, right))
    listed = ", ".join(f"{left} and {right}" for _, left, right in strong[:3])
    more = f" and {len(strong) - 3} more pairs" if len(strong) > 3 else ""
    return SIDES, score, pairs, f"left and right fit exchanged: {listed}{more}"


def _labelled(
    label: dict[str, Any], person: Candidate, schema: KeypointSchema
) -> tuple[list[int], np.ndarray, tuple[str, ...]]:
    """Return the class's rows, its (K, 3) label in continuous coordinates, and the names."""
    rows = list(schema.class_rows(person.class_index))
    truth = np.reshape(label["keypoints"], (-1, 3)).astype(float) + (PIXEL_CENTRE, PIXEL_CENTRE, 0)
    return rows, truth, schema.class_schema(person.class_index).names


def _light(person: Candidate) -> Candidate:
    """Return somebody without the heatmaps, which would fill the memory for many photos."""
    return replace(person, heatmaps=None)


def _agreement(person: Candidate) -> float:
    """Return how far the views agree on somebody and on the pose, in 0-1."""
    return person.presence * (1 - person.disagreement)


def _mean_similarity(person: Candidate, schema: KeypointSchema) -> float:
    rows = list(schema.class_rows(person.class_index))
    area = float(areas_of(person.box[None])[0])
    sigmas = np.array(schema.oks_sigmas)[rows]
    return float(expected_similarity(person.covariances[rows], area, sigmas).mean())


def _overlap(person: Candidate, boxes: np.ndarray) -> float:
    return float(box_iou(person.box[None], boxes).max(initial=0))


def _corners(annotations: Sequence[dict[str, Any]]) -> np.ndarray:
    corners = np.reshape([each["bbox"] for each in annotations], (-1, 4)).astype(float)
    corners[:, 2:] += corners[:, :2]
    return corners
