"""Predictions as arrays, and as results in COCO's format."""

import gc
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import BoxMode, Instances
from torch import Tensor

from pose_project.structures import KeypointSchema, continuous_to_coco


class Detections(NamedTuple):
    """D predictions for one photo or many, in the space of the original photos."""

    image_ids: list[int]
    """D ids."""
    boxes: np.ndarray
    """(D, 4) XYXY_ABS."""
    scores: np.ndarray
    """(D,)."""
    classes: np.ndarray
    """(D,) int64, contiguous from 0."""
    keypoints: np.ndarray | None
    """(D, K, 3) as (x, y, score), continuous coordinates."""
    masks: list[dict[str, Any]] | None
    """D run-length encodings as in COCO's files."""

    @classmethod
    def of_photo(cls, instances: Instances, image_id: int) -> "Detections":
        """Return a photo's predictions.

        Args:
            instances: with ``pred_boxes scores pred_classes`` and, if there, ``pred_keypoints`` and
                ``pred_masks``, in the space of the original photo; not changed.
            image_id: the photo's id.
        """
        keypoints, masks = None, None
        if instances.has("pred_keypoints"):
            keypoints = _to_numpy(instances.pred_keypoints)
        if instances.has("pred_masks"):
            masks = [_encode_mask(mask) for mask in instances.pred_masks.cpu()]
        return cls(
            [image_id] * len(instances),
            _to_numpy(instances.pred_boxes.tensor),
            _to_numpy(instances.scores),
            instances.pred_classes.cpu().numpy(),
            keypoints,
            masks,
        )

    @classmethod
    def of_photos(cls, photos: list["Detections"]) -> "Detections":
        """Return the predictions of all photos, which come from one model, in order."""
        photos = [each for each in photos if each.image_ids] or photos[:1]
        if not photos:
            return cls([], np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), None, None)
        image_ids, boxes, scores, classes, keypoints, masks = zip(*photos, strict=True)
        return cls(
            list(itertools.chain(*image_ids)),
            np.concatenate(boxes),
            np.concatenate(scores),
            np.concatenate(classes),
            None if keypoints[0] is None else np.concatenate(keypoints),
            None if masks[0] is None else list(itertools.chain(*masks)),
        )

    def to_coco(self) -> list[dict[str, Any]]:
        """Return one dict a prediction, in COCO's results format.

        ``image_id``; ``bbox`` XYWH; ``score``; ``category_id``, still contiguous; ``keypoints`` as
        3 K numbers with x and y as pixel indices; ``segmentation`` as RLE.
        """
        columns: dict[str, list[Any]] = {
            "image_id": self.image_ids,
            "bbox": BoxMode.convert(self.boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS).tolist(),
            "score": self.scores.tolist(),
            "category_id": self.classes.tolist(),
        }
        if self.keypoints is not None:
            count, num_keypoints, _ = self.keypoints.shape
            points = continuous_to_coco(self.keypoints)
            columns["keypoints"] = points.reshape(count, 3 * num_keypoints).tolist()
        if self.masks is not None:
            columns["segmentation"] = self.masks
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]


def to_dataset_categories(
    results: list[dict[str, Any]], schema: KeypointSchema | None, category_ids: Sequence[int]
) -> None:
    """Number categories as in the dataset, and keep of each instance its category's keypoints.

    Args:
        results: of ``Detections.to_coco``; changed in place.
        schema: of the model's keypoints; None where it has none.
        category_ids: the dataset's id of each class.
    """
    for each in results:
        class_index = each["category_id"]
        if "keypoints" in each and schema is not None and schema.categories:
            rows = list(schema.class_rows(class_index))
            each["keypoints"] = np.reshape(each["keypoints"], (-1, 3))[rows].flatten().tolist()
        each["category_id"] = category_ids[class_index]


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Do not look for garbage while millions of objects are made that are none.

    Python looks through all of them again and again as their number grows: half of the time of
    :meth:`Detections.to_coco`. It looks at none of them if they are gone when the block ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _encode_mask(mask: Tensor) -> dict[str, Any]:
    rle = mask_util.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}
