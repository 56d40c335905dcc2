"""Predicted poses in COCO's results format (https://cocodataset.org/#format-results)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from pose_project.structures.coordinates import continuous_to_coco
from pose_project.structures.poses import Poses
from pose_project.structures.schema import KeypointSchema


def to_coco_results(
    images: Sequence[Poses],
    image_ids: Sequence[int],
    schema: KeypointSchema | None,
    category_ids: Sequence[int],
) -> list[dict[str, Any]]:
    """Return one dict a person, in the order of the images.

    All images are converted together, which for thousands of them is many times faster.

    Args:
        images: what one model says about each of some images.
        image_ids: as many.
        schema: of the model's keypoints; None if it has none.
        category_ids: the dataset's id of each class.

    Returns:
        ``image_id``; ``bbox`` XYWH; ``score``; ``category_id``; ``keypoints`` as 3 K numbers with x
        and y as pixel indices, K those of the person's category; ``segmentation`` as RLE; and
        ``track_id`` of people who are followed.
    """
    found = [each for each in zip(images, image_ids, strict=True) if len(each[0])]
    if not found:
        return []
    images, image_ids = zip(*found, strict=True)
    boxes = np.concatenate([each.boxes for each in images])
    classes = np.concatenate([each.classes for each in images]).tolist()
    columns: dict[str, list[Any]] = {
        "image_id": [id_ for each, id_ in found for _ in range(len(each))],
        "bbox": BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS).tolist(),
        "score": np.concatenate([each.scores for each in images]).tolist(),
        "category_id": [category_ids[index] for index in classes],
    }
    keypoints = np.concatenate([each.keypoints for each in images])
    if keypoints.shape[1]:
        columns["keypoints"] = _flat_keypoints(continuous_to_coco(keypoints), classes, schema)
    if images[0].masks is not None:
        columns["segmentation"] = np.concatenate([each.masks for each in images]).tolist()
    results = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    if images[0].track_ids is not None:
        track_ids = np.concatenate([each.track_ids for each in images]).tolist()
        for result, track_id in zip(results, track_ids, strict=True):
            if track_id:
                result["track_id"] = track_id
    return results


def _flat_keypoints(
    keypoints: np.ndarray, classes: list[int], schema: KeypointSchema | None
) -> list[list[float]]:
    """Return the values of (D, K, 3) keypoints; of each person those of its category."""
    if schema is None or not schema.categories:
        return keypoints.reshape(len(keypoints), -1).tolist()
    rows = [list(schema.class_rows(index)) for index in range(len(schema.categories))]
    return [
        person[rows[index]].flatten().tolist()
        for person, index in zip(keypoints, classes, strict=True)
    ]
