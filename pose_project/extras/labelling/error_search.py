"""Likely label errors of a whole annotation file, and the list that the doctor's page shows."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pose_project.data.annotation_files import AnnotationFile, load_annotations
from pose_project.data.dataset_dicts import image_path
from pose_project.data.validation import check_image
from pose_project.extras.labelling.label_errors import Suspect, suspects_of
from pose_project.extras.labelling.photos import look_at_photos
from pose_project.inference import PosePredictor
from pose_project.inference.sources import Source
from pose_project.structures import KeypointSchema
from pose_project.structures.coordinates import continuous_to_coco
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic


def find_label_errors(
    json_file: Path, image_root: Path, predictor: PosePredictor
) -> tuple[list[Suspect], int]:
    """Return what is likely to be wrong in an annotation file, the likeliest first.

    Args:
        json_file: annotations in COCO's format.
        image_root: the folder that ``file_name`` is relative to.
        predictor: of ``load_predictor``.

    Returns:
        The suspects, and how many photos could be read.

    Raises:
        InputError: if the file cannot be loaded, has other keypoints than the model, or no photo
            can be read.
    """
    annotations = load_annotations(json_file)
    classes = classes_of(annotations, predictor)
    for image in annotations.images:
        check_image(f"{json_file}: image {image['id']}", image)
    sources = [
        Source(image_path(image_root, each["file_name"]).absolute(), str(each["id"]))
        for each in annotations.images
    ]
    labels = defaultdict(list)
    for each in annotations.annotations:
        labels[each["image_id"]].append(each)
    suspects: list[Suspect] = []
    num_read = 0
    for source, _, people in look_at_photos(predictor, sources):
        id_ = int(source.name)
        suspects += suspects_of(id_, labels[id_], people, classes, predictor.schema)
        num_read += 1
    return sorted(suspects, key=lambda each: -each.score), num_read


def classes_of(annotations: AnnotationFile, predictor: PosePredictor) -> dict[int, int]:
    """Return {category_id: class of the model}: by name, or the only one of both.

    Raises:
        InputError: if no category is the model's, or its keypoints have other names.
    """
    own = {each["name"]: place for place, each in enumerate(predictor.categories)}
    classes = {e["id"]: own[e["name"]] for e in annotations.categories if e.get("name") in own}
    if not classes and len(own) == len(annotations.categories) == 1:
        classes = {annotations.categories[0]["id"]: 0}
    if not classes:
        raise InputError(f"{annotations.path} has none of the model's categories {', '.join(own)}")
    for each in annotations.categories:
        names = tuple(each.get("keypoints") or ())
        expected = predictor.schema.class_schema(classes.get(each["id"], 0)).names
        if each["id"] in classes and names != expected:
            raise InputError(
                f"{annotations.path}: category {each['name']!r} has other keypoints than the "
                f"model, "
                f"{len(names)} against {len(expected)}, or in another order"
            )
    return classes


def write_suspects(
    path: Path, suspects: Sequence[Suspect], json_file: Path, schema: KeypointSchema
) -> None:
    """Write what ``doctor --suspects`` reads: the likeliest first.

    ``annotations`` names the file; each of ``suspects`` has ``code``, ``score`` in 0-1,
    ``image_id``, ``annotation_id`` (null of a missing person), ``keypoints`` (names), ``why``, and
    ``seen``: ``bbox`` XYWH and ``keypoints`` of the person as the model sees it, in COCO's
    coordinates.
    """
    record = {"annotations": json_file.name, "suspects": [_record(e, schema) for e in suspects]}
    write_text_atomic(path, json.dumps(record, indent=1) + "\n")


def _record(suspect: Suspect, schema: KeypointSchema) -> dict[str, Any]:
    person = suspect.person
    x0, y0, x1, y1 = person.box.astype(float).round(2).tolist()
    rows = list(schema.class_rows(person.class_index))
    points = continuous_to_coco(person.keypoints[rows]).astype(float).round(2)
    points[:, 2] = 2
    return {
        "code": suspect.code,
        "score": round(suspect.score, 4),
        "image_id": suspect.image_id,
        "annotation_id": suspect.annotation_id,
        "keypoints": list(suspect.keypoints),
        "why": suspect.why,
        "seen": {"bbox": [x0, y0, x1 - x0, y1 - y0], "keypoints": points.flatten().tolist()},
    }
