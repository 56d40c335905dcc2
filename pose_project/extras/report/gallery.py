"""Photo by photo: how many errors of each type, and the worst photos with all that is in them."""

from typing import Any

import numpy as np

from pose_project.extras.report.arrays import Photos
from pose_project.extras.report.diagnosis import KINDS, NOT_LABELLED, Diagnosis
from pose_project.extras.report.similarity import Pairing

ERRORS = (*KINDS[1:], "false_positive", "false_negative")
"""Types of errors that are counted for each photo."""


def photo_records(
    pairings: list[Pairing], diagnoses: list[Diagnosis], photos: Photos
) -> list[dict[str, Any]]:
    """Return a record for each photo with people or predictions.

    Returns:
        ``id``, ``file_name``, ``people`` who are to be found, their ``mean_oks`` in 0-1 (0 for
        whom nobody found; None without people) and the number of ``errors`` of each type.
    """
    errors = np.stack(
        [error_counts(*each, len(photos)) for each in zip(pairings, diagnoses, strict=True)]
    )
    errors = errors.sum(axis=0)
    num_people, oks = people_and_oks(pairings, diagnoses, len(photos))
    used = np.flatnonzero((num_people > 0) | errors.any(axis=0))
    return [
        {
            "id": int(photos.ids[photo]),
            "file_name": photos.file_names[photo],
            "people": int(num_people[photo]),
            "mean_oks": float(oks[photo] / num_people[photo]) if num_people[photo] else None,
            "errors": dict(zip(ERRORS, errors[:, photo].tolist(), strict=True)),
        }
        for photo in used
    ]


def worst_photos(
    pairings: list[Pairing],
    diagnoses: list[Diagnosis],
    photos: Photos,
    records: list[dict[str, Any]],
    each: int = 12,
) -> list[dict[str, Any]]:
    """Return the photos with the most errors of each type, with everybody in them.

    Args:
        pairings: of each category.
        diagnoses: of each category.
        photos: all of them.
        records: of :func:`photo_records`.
        each: how many photos of each type of error.

    Returns:
        ``id`` of the photo, its ``width`` and ``height`` (None if unknown) and ``instances``:
        ``category`` (place in the report's list), ``kind`` (``truth`` or ``prediction``), ``bbox``
        XYWH, ``keypoints`` K times (x, y, v or score), and of a prediction ``score``, ``oks``,
        ``matched`` (id of the annotation or None) and ``kinds`` (K names or None). People have
        their ``id``, ``found`` and ``ignored``.
    """
    chosen: set[int] = set()
    for error in ERRORS:
        with_error = [record for record in records if record["errors"][error]]
        with_error.sort(key=lambda record, error=error: -record["errors"][error])
        chosen |= {record["id"] for record in with_error[:each]}
    ids = sorted(chosen)
    places = photos.index(np.array(ids, np.int64)) if ids else np.zeros(0, np.int64)
    instances: dict[int, list[dict[str, Any]]] = {int(place): [] for place in places}
    for number, (pairing, diagnosis) in enumerate(zip(pairings, diagnoses, strict=True)):
        for photo, instance in _instances(pairing, diagnosis, places):
            instances[photo].append({"category": number, **instance})
    sizes = np.where(np.isnan(photos.sizes_wh), 0, photos.sizes_wh).astype(int)
    return [
        {
            "id": id_,
            "width": int(sizes[place][0]) or None,
            "height": int(sizes[place][1]) or None,
            "instances": instances[int(place)],
        }
        for id_, place in zip(ids, places, strict=True)
    ]


def error_counts(pairing: Pairing, diagnosis: Diagnosis, num_photos: int) -> np.ndarray:
    """Return (6, P) how many errors of each of ``ERRORS`` every photo has."""
    people, predictions = pairing.category.people, pairing.predictions
    photo = people.photo[diagnosis.person]
    return np.stack(
        [
            *(
                np.bincount(photo, (diagnosis.kinds == kind).sum(axis=1), num_photos).astype(int)
                for kind in range(1, len(KINDS))
            ),
            np.bincount(predictions.photo[diagnosis.false_positives], minlength=num_photos),
            np.bincount(people.photo[diagnosis.false_negatives], minlength=num_photos),
        ]
    )


def people_and_oks(
    pairings: list[Pairing], diagnoses: list[Diagnosis], num_photos: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (P,) the number of people to be found, and (P,) the sum of their OKS."""
    num_people, oks = np.zeros(num_photos), np.zeros(num_photos)
    for pairing, diagnosis in zip(pairings, diagnoses, strict=True):
        people = pairing.category.people
        num_people += np.bincount(people.photo[~people.ignored], minlength=num_photos)
        oks += np.bincount(people.photo[diagnosis.person], diagnosis.oks, num_photos)
    return num_people, oks


def _instances(
    pairing: Pairing, diagnosis: Diagnosis, places: np.ndarray
) -> list[tuple[int, dict[str, Any]]]:
    people, predictions = pairing.category.people, pairing.predictions
    missed, ignored = set(diagnosis.false_negatives.tolist()), people.ignored.tolist()
    found = []
    for row in np.flatnonzero(np.isin(people.photo, places)).tolist():
        instance = {
            "kind": "truth",
            "id": int(people.ids[row]),
            "bbox": people.boxes[row].tolist(),
            "keypoints": people.keypoints[row].tolist(),
            "found": row not in missed and not ignored[row],
            "ignored": ignored[row],
        }
        found.append((int(people.photo[row]), instance))
    match_of = {row: place for place, row in enumerate(diagnosis.prediction.tolist())}
    background = set(diagnosis.false_positives.tolist())
    for row in np.flatnonzero(np.isin(predictions.photo, places)).tolist():
        place = match_of.get(row)
        if place is None and row not in background:
            continue  # of somebody ignored, or beyond the best 20
        instance = {
            "kind": "prediction",
            "bbox": predictions.boxes[row].tolist(),
            "keypoints": predictions.keypoints[row].tolist(),
            "score": float(predictions.scores[row]),
            "oks": 0.0 if place is None else float(diagnosis.oks[place]),
            "matched": None if place is None else int(people.ids[diagnosis.person[place]]),
            "kinds": None if place is None else _names(diagnosis.kinds[place]),
        }
        found.append((int(predictions.photo[row]), instance))
    return found


def _names(kinds: np.ndarray) -> list[str | None]:
    return [None if kind == NOT_LABELLED else KINDS[kind] for kind in kinds.tolist()]
