"""What a model says about an image, as arrays."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.structures import Boxes, Instances


@dataclass(frozen=True)
class Poses:
    """N people in an image of H x W pixels, K keypoints each, the best first.

    Coordinates are continuous: pixel i covers [i, i + 1), so the image's lower right corner is at
    (W, H).

    Attributes:
        image_size_hw: (H, W) in pixels.
        boxes: (N, 4) float32, XYXY_ABS in pixels.
        scores: (N,) float32 in 0..1, the detector's.
        classes: (N,) int64 from 0, in the order of the model's categories.
        keypoints: (N, K, 3) float32 as (x, y, score); K is 0 for a model without keypoints. The
            score is the largest value of the keypoint's softmax over locations; or, with
            ``train.inference.test_time.temperature``, the probability that the point is within one
            sigma.
        covariances: (N, K, 2, 2) float32 in px^2, of (x, y), or None where not asked for.
        heatmaps: (N, K, S, S) float32, the head's logits over the cells of each box, or None where
            ``model.roi_heads.keypoint_head.keep_heatmaps`` is not set.
        masks: (N,) run-length encodings as in COCO's files, or None where not asked for.
        track_ids: (N,) int64 from 1, the same for a person in all frames of a video, 0 for people
            who are not followed; None for an image that is not a frame.
    """

    image_size_hw: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    keypoints: np.ndarray
    covariances: np.ndarray | None = None
    heatmaps: np.ndarray | None = None
    masks: np.ndarray | None = None
    track_ids: np.ndarray | None = None

    @classmethod
    def of_instances(
        cls, instances: Instances, extras: Collection[str] = ("covariances", "heatmaps")
    ) -> "Poses":
        """Return what a model predicted.

        Args:
            instances: with ``pred_boxes scores pred_classes``, in pixels of the image; not changed.
            extras: of ``covariances heatmaps masks``: what else is taken where the model gives it.
        """
        has_keypoints = instances.has("pred_keypoints")
        taken = {name: _EXTRAS[name] for name in extras if instances.has(_EXTRAS[name][0])}
        return cls(
            tuple(instances.image_size),
            _to_numpy(instances.pred_boxes.tensor),
            _to_numpy(instances.scores),
            instances.pred_classes.cpu().numpy(),
            _to_numpy(instances.pred_keypoints)
            if has_keypoints
            else np.zeros((len(instances), 0, 3), np.float32),
            **{name: convert(instances.get(field)) for name, (field, convert) in taken.items()},
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self.scores)

    def select(self, chosen: np.ndarray) -> "Poses":
        """Return some of the people: (N,) bool, or their indices."""
        arrays = {name: getattr(self, name) for name in _OF_EACH_PERSON}
        chosen_arrays = {k: each[chosen] for k, each in arrays.items() if each is not None}
        return replace(self, **chosen_arrays)

    def above(self, score: float) -> "Poses":
        """Return the people whose score is at least ``score``."""
        return self.select(self.scores >= score)

    def to_instances(self) -> Instances:
        """Return what ``PoseVisualizer.draw_instance_predictions`` draws, without masks."""
        instances = Instances(self.image_size_hw)
        instances.pred_boxes = Boxes(torch.from_numpy(self.boxes))
        instances.scores = torch.from_numpy(self.scores)
        instances.pred_classes = torch.from_numpy(self.classes)
        instances.pred_keypoints = torch.from_numpy(self.keypoints)
        if self.covariances is not None:
            instances.pred_keypoint_covs = torch.from_numpy(self.covariances)
        if self.track_ids is not None:
            instances.track_ids = torch.from_numpy(self.track_ids)
        return instances


_OF_EACH_PERSON = (
    "boxes",
    "scores",
    "classes",
    "keypoints",
    "covariances",
    "heatmaps",
    "masks",
    "track_ids",
)


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _encode_masks(masks: torch.Tensor) -> np.ndarray:
    """Return (N,) run-length encodings of (N, H, W) bool."""
    encoded = np.empty(len(masks), object)
    for index, mask in enumerate(masks.cpu().numpy()):
        rle: dict[str, Any] = mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))
        encoded[index] = {"size": rle["size"], "counts": rle["counts"].decode("ascii")}
    return encoded


_EXTRAS = {
    "covariances": ("pred_keypoint_covs", _to_numpy),
    "heatmaps": ("pred_keypoint_heatmaps", _to_numpy),
    "masks": ("pred_masks", _encode_masks),
}
