"""What a model found, as annotations in COCO's format that a person is to correct.

Such a *draft* is ordinary COCO with a few keys more: of the file ``info.threshold``; of an
annotation ``score``, ``keypoint_scores`` (K probabilities) and ``to_check`` (names of the
keypoints whose probability is below the threshold). Every format is made from it, and it is what
corrections are compared with, so coordinates have two decimals, the most that CVAT writes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pose_project.inference.sources import Source
from pose_project.structures import KeypointSchema, continuous_to_coco
from pose_project.structures.oks import AREA_SHARE
from pose_project.structures.poses import Poses

DECIMALS = 2

PERSON = "person_id"
"""Attribute by which CVAT gives back who is who."""


def to_draft(
    found: Iterable[tuple[Source, Poses]],
    categories: Sequence[dict[str, Any]],
    schema: KeypointSchema,
    threshold: float,
) -> dict[str, Any]:
    """Return the people of some photos as a draft, in COCO's format.

    Args:
        found: photos with whom to draw in them; keypoints' scores are probabilities.
        categories: of the model.
        schema: of the K keypoints.
        threshold: keypoints of a lower probability are to be checked.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for source, poses in found:
        height, width = poses.image_size_hw
        image = {"id": len(images) + 1, "file_name": source.name, "width": width, "height": height}
        images.append(image)
        for person in range(len(poses)):
            class_index = int(poses.classes[person])
            rows = list(schema.class_rows(class_index))
            box = np.clip(poses.boxes[person], 0, (width, height, width, height))
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image["id"],
                "category_id": categories[class_index]["id"],
                **_labels(box, continuous_to_coco(poses.keypoints[person, rows])),
                "score": round(float(poses.scores[person]), 4),
            }
            scores = poses.keypoints[person, rows, 2].astype(float).round(4).tolist()
            names = schema.class_schema(class_index).names
            annotation["keypoint_scores"] = scores
            annotation["to_check"] = [
                name for name, score in zip(names, scores, strict=True) if score < threshold
            ]
            # CVAT's COCO format has a place for attributes, and gives them back
            annotation["attributes"] = {PERSON: str(annotation["id"])}
            annotations.append(annotation)
    return {
        "info": {"description": "drafts of a model, to be corrected", "threshold": threshold},
        "images": images,
        "annotations": annotations,
        "categories": list(categories),
    }


def _labels(box_xyxy: np.ndarray, keypoints: np.ndarray) -> dict[str, Any]:
    """Return what is labelled, of a box (4,) XYXY and (K, 3) keypoints in pixel indices."""
    x0, y0, x1, y1 = box_xyxy.astype(float).round(DECIMALS).tolist()
    width, height = round(x1 - x0, DECIMALS), round(y1 - y0, DECIMALS)
    flat: list[float] = []
    for x, y in keypoints[:, :2].astype(float).round(DECIMALS).tolist():
        flat += [x, y, 2]
    return {
        "bbox": [x0, y0, width, height],
        "area": round(AREA_SHARE * width * height, DECIMALS),
        "iscrowd": 0,
        "segmentation": [],  # readers of COCO's format ask for it
        "keypoints": flat,
        "num_keypoints": len(keypoints),
    }


def points_of(annotation: dict[str, Any]) -> list[tuple[float, float, int]]:
    """Return the K keypoints of an annotation as (x, y, v)."""
    values = annotation["keypoints"]
    return list(zip(values[0::3], values[1::3], values[2::3], strict=True))


def schemas_of(content: dict[str, Any]) -> dict[int, tuple[str, KeypointSchema]]:
    """Return {category_id: (name, schema)} of the categories with keypoints."""
    return {
        each["id"]: (str(each["name"]), KeypointSchema.from_coco_category(each))
        for each in content["categories"]
        if each.get("keypoints")
    }
