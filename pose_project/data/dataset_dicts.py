"""From a COCO annotation file to Detectron2's dataset dicts."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from pose_project.data.annotation_files import AnnotationFile
from pose_project.data.validation import check_image, usable_segmentation
from pose_project.structures import KeypointSchema
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.extras import find_extra

logger = logging.getLogger(__name__)


def to_dataset_dicts(
    annotations: AnnotationFile, image_root: str | Path, schema: KeypointSchema
) -> list[dict[str, Any]]:
    """Return one dict an image, as Detectron2's ``load_coco_json`` does.

    Against ``load_coco_json``: nobody is dropped for a ``segmentation`` that cannot be used; such
    people are counted and have no ``segmentation``. Keypoints of a category are put into its rows
    of the schema; its other rows are unlabelled.

    Args:
        annotations: of the file.
        image_root: the folder that ``file_name`` is relative to, or one of shards.
        schema: of all its categories.

    Returns:
        ``file_name height width image_id annotations`` of each image, by ascending id; of one in a
        tar file also ``shard``, where it is. An annotation has ``iscrowd bbox bbox_mode category_id
        keypoints`` and, where it can be used, ``segmentation``; ``category_id`` counts from 0, x
        and y of keypoints are continuous, half a pixel further than in the file.

    Raises:
        InputError: if an image has no usable name or size.
    """
    for image in annotations.images:
        check_image(f"{annotations.path}: image {image['id']}", image)
    of_image = _instances_by_image(annotations, schema)
    photos = [
        {
            "file_name": str(image_path(image_root, image["file_name"])),
            "height": image["height"],
            "width": image["width"],
            "image_id": image["id"],
            "annotations": of_image[image["id"]],
        }
        for image in annotations.images
    ]
    shards = find_extra("shards.reading")
    if shards and shards.is_shard_folder(Path(image_root)):
        file_names = [each["file_name"] for each in annotations.images]
        places = shards.find_photos(Path(image_root), file_names)
        for photo, place in zip(photos, places, strict=True):
            photo["shard"] = place
    return photos


def _instances_by_image(
    annotations: AnnotationFile, schema: KeypointSchema
) -> dict[int, list[dict[str, Any]]]:
    """Return Detectron2's annotations of each image; say how many masks cannot be used."""
    sizes_hw = {each["id"]: (each["height"], each["width"]) for each in annotations.images}
    classes = {each["id"]: index for index, each in enumerate(annotations.categories)}
    rows = [list(schema.class_rows(index)) for index in range(len(schema.categories))]
    of_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    without_mask = 0
    for annotation in annotations.annotations:
        category = classes[annotation["category_id"]]
        keypoints = _to_continuous(annotation["keypoints"])
        if rows:
            keypoints = _spread(keypoints, rows[category], schema.num_keypoints)
        instance = {
            "iscrowd": annotation["iscrowd"],
            "bbox": annotation["bbox"],
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": category,
            "keypoints": keypoints,
        }
        size_hw = sizes_hw[annotation["image_id"]]
        mask = usable_segmentation(annotation.get("segmentation"), size_hw)
        if mask is not None:
            instance["segmentation"] = mask
        elif annotation.get("segmentation") not in (None, []):
            without_mask += 1
        of_image[annotation["image_id"]].append(instance)
    if without_mask:
        logger.info(
            "%s: %d annotations have a segmentation that is neither polygons of three points nor "
            "a mask of their image's size: they are without a mask",
            annotations.path,
            without_mask,
        )
    return of_image


def image_path(image_root: str | Path, file_name: str) -> Path:
    """Return the path of an image; names written on Windows have backslashes in them."""
    path = Path(image_root, file_name)
    if "\\" in file_name and not path.exists():
        return Path(image_root, file_name.replace("\\", "/"))
    return path


def _to_continuous(keypoints: list[float]) -> list[float]:
    shifted = list(keypoints)
    shifted[0::3] = [x + PIXEL_CENTRE for x in keypoints[0::3]]
    shifted[1::3] = [y + PIXEL_CENTRE for y in keypoints[1::3]]
    return shifted


def _spread(keypoints: list[float], rows: Sequence[int], num_keypoints: int) -> list[float]:
    spread = np.zeros((num_keypoints, 3))
    spread[rows] = np.reshape(keypoints, (-1, 3))
    return spread.flatten().tolist()
