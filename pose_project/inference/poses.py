"""What a model says about a photo, as arrays."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from detectron2.structures import Boxes, Instances

from pose_project.evaluation.results import Detections


@dataclass(frozen=True)
class Poses:
    """N people in a photo of H x W pixels, K keypoints each, the best first.

    Coordinates are continuous: pixel i covers [i, i + 1), so the photo's lower right corner is at
    (W, H).

    Attributes:
        photo_size_hw: (H, W) in pixels.
        boxes: (N, 4) float32, XYXY_ABS in pixels.
        scores: (N,) float32 in 0..1, the detector's.
        classes: (N,) int64 from 0, in the order of the model's categories.
        keypoints: (N, K, 3) float32 as (x, y, score). The score is the largest value of the
            keypoint's softmax over locations; or, with ``train.inference.test_time.temperature``,
            the probability that the point is within one sigma.
        covariances: (N, K, 2, 2) float32 in px^2, of (x, y), or None where not asked for.
        heatmaps: (N, K, S, S) float32, the head's logits over the cells of each box, or None where
            ``model.roi_heads.keypoint_head.keep_heatmaps`` is not set.
    """

    photo_size_hw: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    keypoints: np.ndarray
    covariances: np.ndarray | None = None
    heatmaps: np.ndarray | None = None

    @classmethod
    def of_instances(cls, instances: Instances) -> "Poses":
        """Return the predictions that a model made for one photo, in the photo's own pixels."""
        extras = [
            _to_numpy(instances.get(name)) if instances.has(name) else None
            for name in ("pred_keypoint_covs", "pred_keypoint_heatmaps")
        ]
        return cls(
            tuple(instances.image_size),
            _to_numpy(instances.pred_boxes.tensor),
            _to_numpy(instances.scores),
            instances.pred_classes.cpu().numpy(),
            _to_numpy(instances.pred_keypoints),
            *extras,
        )

    def __len__(self) -> int:
        """Return N."""
        return len(self.scores)

    def select(self, chosen: np.ndarray) -> "Poses":
        """Return some of the people: (N,) bool, or their indices."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Poses(
            **{
                name: each[chosen] if isinstance(each, np.ndarray) else each
                for name, each in values.items()
            }
        )

    def above(self, score: float) -> "Poses":
        """Return the people whose score is at least ``score``."""
        return self.select(self.scores >= score)

    def to_instances(self) -> Instances:
        """Return what ``PoseVisualizer.draw_instance_predictions`` draws."""
        instances = Instances(self.photo_size_hw)
        instances.pred_boxes = Boxes(torch.from_numpy(self.boxes))
        instances.scores = torch.from_numpy(self.scores)
        instances.pred_classes = torch.from_numpy(self.classes)
        instances.pred_keypoints = torch.from_numpy(self.keypoints)
        if self.covariances is not None:
            instances.pred_keypoint_covs = torch.from_numpy(self.covariances)
        return instances

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """Return one dict a person in COCO's results format, with ``category_id`` from 0.

        ``bbox`` is XYWH; the x and y of ``keypoints`` are pixel indices, half a pixel less than
        here, see ``structures.coordinates``.
        """
        ids = [image_id] * len(self)
        detections = Detections(ids, self.boxes, self.scores, self.classes, self.keypoints, None)
        return detections.to_coco()


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
