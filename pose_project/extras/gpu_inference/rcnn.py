"""A ``GeneralizedRCNN`` for a GPU: the host waits twice a batch, for people and their points."""

import threading
from typing import Any, NamedTuple

import torch
from detectron2.structures import Boxes, ImageList, Instances
from torch import Tensor, nn
from torch.nn import functional as F

from pose_project.extras.gpu_inference.cuda_graphs import GraphCache
from pose_project.extras.gpu_inference.detector import (
    FixedShapeDetector,
    has_fixed_shape,
    pool_boxes,
    read_people,
)
from pose_project.modeling.keypoint_predictions import KeypointPredictions, enlarge, region_scale_of
from pose_project.modeling.rcnn_steps import detect, preprocess
from pose_project.modeling.roi_heads import predicts_masks
from pose_project.modeling.test_time import TestTimeModel
from pose_project.utils.private_api import to_original_size

_MOST_GRAPHS = 24
# Numbers of people that a graph computes heatmaps for; the smallest that is enough is taken.
_PEOPLE = (4, 8, 16, 32, 64, 128)


def in_fixed_shapes(model: nn.Module, cuda_graphs: bool) -> nn.Module:
    """Return a model that lets a GPU run ahead, where its parts are known; else the same one."""
    if isinstance(model, TestTimeModel):
        model.model = in_fixed_shapes(model.model, cuda_graphs)
        return model
    return FixedShapeRCNN(model, cuda_graphs) if has_fixed_shape(model) else model


def parts_of(model: nn.Module) -> "FixedShapeParts | None":
    """Return the parts that ``MultiViewRCNN`` uses; None if this model's are not known."""
    is_fixed = has_fixed_shape(model) and not predicts_masks(model.roi_heads)
    return FixedShapeParts(model) if is_fixed else None


class _Look(NamedTuple):
    """What a batch is turned into without a wait."""

    features: dict[str, Tensor]
    maps: dict[str, Tensor]
    found: Tensor


class FixedShapeRCNN(nn.Module):
    """The same people and points as the model's, on the host; of a model with masks on the device.

    Args:
        model: for which ``has_fixed_shape`` is true, in evaluation mode; shared, not copied.
        cuda_graphs: record what is done to photos whose padded size comes again.
    """

    def __init__(self, model: nn.Module, cuda_graphs: bool) -> None:
        super().__init__()
        self.model = model
        self.backbone, self.roi_heads = model.backbone, model.roi_heads
        self.detector = FixedShapeDetector(model)
        self.graphs = GraphCache(_MOST_GRAPHS, is_on=cuda_graphs)
        self._lock = threading.Lock()  # a graph's outputs are overwritten by its next replay

    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the model returns for a batch of photos."""
        with self._lock:
            images = preprocess(self.model, batched_inputs)
            look, instances = self._detect(images)
            self._add_parts(images, look, instances)
            return to_original_size(self.model, instances, batched_inputs, images)

    def _detect(self, images: ImageList) -> tuple[_Look, list[Instances]]:
        given = images.tensor, sizes_whwh_of(images)
        look = self.graphs.get(tuple(images.tensor.shape), self._look, *given)(*given)
        instances = read_people(look.found.cpu(), images.image_sizes)
        return look, instances or detect_on_host(self.model, images, look.features)

    def _look(self, pixels: Tensor, sizes_whwh: Tensor) -> _Look:
        features = self.backbone(pixels)
        maps = self.detector.pooling_maps(features)
        return _Look(features, maps, self.detector(features, maps, sizes_whwh))

    def _add_parts(self, images: ImageList, look: _Look, instances: list[Instances]) -> None:
        """Set the keypoints, and the masks where there are any."""
        heads = self.roi_heads
        is_ours = heads.keypoint_on and isinstance(heads.keypoint_head, KeypointPredictions)
        if is_ours and not predicts_masks(heads):
            heads.keypoint_head.predict(
                instances, lambda kept: self._keypoint_logits(images, look, instances, kept)
            )
        elif predicts_masks(heads) or heads.keypoint_on:
            device = images.tensor.device
            instances[:] = [each.to(device) for each in instances]
            instances[:] = heads.forward_with_given_boxes(look.features, instances)

    def _keypoint_logits(
        self, images: ImageList, look: _Look, instances: list[Instances], kept: list[Tensor] | None
    ) -> Tensor:
        """Return (R, K, S, S) logits of everyone, or of those that are kept."""
        heads = self.roi_heads

        def logits_of(rois: Tensor) -> Tensor:
            maps = [look.maps[name] for name in heads.keypoint_in_features]
            return heads.keypoint_head.layers(pool_boxes(heads.keypoint_pooler, maps, rois))

        boxes = [each.pred_boxes.tensor for each in instances]
        if kept is not None:
            boxes = [each[keep] for each, keep in zip(boxes, kept, strict=True)]
        rois = rois_of([enlarge(each, region_scale_of(heads)) for each in boxes])
        count, device = len(rois), images.tensor.device
        most = next((number for number in _PEOPLE if number >= count), count)
        key = tuple(images.tensor.shape)
        if count == 0 or key not in self.graphs.calls:  # the maps will not be there again
            return logits_of(rois.to(device, non_blocking=True))
        rois = F.pad(rois, (0, 0, 0, most - count)).to(device, non_blocking=True)
        return self.graphs.get((key, most), logits_of, rois)(rois)[:count]


class FixedShapeParts:
    """Detection and pooling of a model, for whoever looks at a photo several times.

    Args:
        model: for which ``has_fixed_shape`` is true, in evaluation mode; without masks.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.detector = FixedShapeDetector(model)

    def detect(self, images: ImageList, features: dict[str, Tensor]) -> list[Instances]:
        """Return the people of each photo, on the host."""
        maps = self.detector.pooling_maps(features)
        found = self.detector(features, maps, sizes_whwh_of(images))
        people = read_people(found.cpu(), images.image_sizes)
        return people or detect_on_host(self.model, images, features)

    def pool_for_keypoints(self, features: dict[str, Tensor], regions: list[Boxes]) -> Tensor:
        """Return the (R, channels, P, P) input of the keypoint head, of each photo's regions."""
        heads, maps = self.model.roi_heads, self.detector.pooling_maps(features)
        rois = rois_of([each.tensor for each in regions]).to(self.model.device, non_blocking=True)
        return pool_boxes(
            heads.keypoint_pooler, [maps[name] for name in heads.keypoint_in_features], rois
        )


def sizes_whwh_of(images: ImageList) -> Tensor:
    """Return (B, 4) float32 width, height, width, height of the photos, on their device."""
    sizes = torch.tensor([[w, h, w, h] for h, w in images.image_sizes], dtype=torch.float32)
    return sizes.to(images.tensor.device, non_blocking=True)


def rois_of(boxes: list[Tensor]) -> Tensor:
    """Return (R, 5) boxes as ROIAlign takes them, the photo's number first, of (R_i, 4) each."""
    return torch.cat([F.pad(each, (1, 0), value=index) for index, each in enumerate(boxes)])


def detect_on_host(
    model: nn.Module, images: ImageList, features: dict[str, Tensor]
) -> list[Instances]:
    """Return the people of each photo as Detectron2 finds them, on the host."""
    return [each.to("cpu") for each in detect(model, images, features)]
