"""One photo seen several times: mirrored, and at further sizes.

Detectron2's ``GeneralizedRCNNWithTTA`` refuses keypoints. As in Detectron's ``test.py``
(``im_detect_keypoints_aug``), heatmaps are averaged in the same boxes, before they are decoded.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.layers import batched_nms
from detectron2.structures import Boxes, ImageList, Instances
from torch import Tensor, nn
from torch.nn import functional as F

from pose_project.modeling.keypoint_predictions import keypoint_regions
from pose_project.modeling.rcnn_steps import detect, preprocess
from pose_project.structures import KeypointSchema
from pose_project.utils.extras import find_extra
from pose_project.utils.private_api import add_masks, to_original_size


@dataclass(frozen=True)
class _View:
    """A batch as the model sees it once more.

    Attributes:
        images: normalised and padded.
        features: of the backbone.
        scales_wh: for each photo, width and height as a factor of the first view's.
        is_mirrored: whether left is right.
    """

    images: ImageList
    features: dict[str, Tensor]
    scales_wh: list[tuple[float, float]]
    is_mirrored: bool

    def boxes_of(self, instances: Sequence[Instances]) -> list[Boxes]:
        """Return the boxes of the first view's people in this one."""
        moved = []
        for each, scale_wh, (_, width) in zip(
            instances, self.scales_wh, self.images.image_sizes, strict=True
        ):
            boxes = each.pred_boxes.clone()
            boxes.scale(*scale_wh)
            if self.is_mirrored:
                left, right = width - boxes.tensor[:, 2], width - boxes.tensor[:, 0]
                boxes.tensor[:, 0], boxes.tensor[:, 2] = left, right
            moved.append(boxes)
        return moved


class MultiViewRCNN(nn.Module):
    """A ``GeneralizedRCNN`` whose heatmaps are the mean over several views of each photo.

    Boxes come from the views that are not mirrored, those of all sizes together, suppressed once
    more. Masks are those of the first view. On a GPU the people and their points come to the host
    where the extra ``gpu_inference`` knows the model's parts.

    Args:
        model: with this project's keypoint head.
        schema: of the keypoints; says which are left and right.
        flip: also look at each view mirrored.
        scales: sizes of further views as factors of the photo that is given.
    """

    def __init__(
        self, model: nn.Module, schema: KeypointSchema, flip: bool, scales: Sequence[float]
    ) -> None:
        super().__init__()
        self.model = model
        self.hflip_indices = torch.tensor(schema.hflip_indices, device=model.device)
        gpu = find_extra("gpu_inference.rcnn") if model.device.type != "cpu" else None
        self.gpu_parts = gpu.parts_of(model) if gpu else None
        self.flips = (False, True) if flip else (False,)
        self.scales = (1.0, *scales)

    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the model returns for a batch of photos."""
        views = [
            self._look(batched_inputs, scale, is_mirrored)
            for scale, is_mirrored in itertools.product(self.scales, self.flips)
        ]
        instances = self._find_people([view for view in views if not view.is_mirrored])
        heads = self.model.roi_heads
        instances = add_masks(heads, views[0].features, instances)

        def mean_logits(kept: list[Tensor] | None) -> Tensor:
            people = instances
            if kept is not None:
                people = [each[keep] for each, keep in zip(instances, kept, strict=True)]
            return torch.stack([self._heatmaps(view, people) for view in views]).mean(dim=0)

        heads.keypoint_head.predict(instances, mean_logits)
        return to_original_size(self.model, instances, batched_inputs, views[0].images)

    def _look(self, batched_inputs: list[dict[str, Any]], scale: float, is_mirrored: bool) -> _View:
        photos, scales_wh = [], []
        for image in (each["image"] for each in batched_inputs):
            height, width = image.shape[-2:]
            new_hw = [max(round(side * scale), 1) for side in (height, width)]
            if scale != 1:
                image = F.interpolate(image[None].float(), new_hw, mode="bilinear", antialias=True)[
                    0
                ]
            photos.append({"image": image.flip(-1) if is_mirrored else image})
            scales_wh.append((new_hw[1] / width, new_hw[0] / height))
        images = preprocess(self.model, photos)
        return _View(images, self.model.backbone(images.tensor), scales_wh, is_mirrored)

    def _find_people(self, views: Sequence[_View]) -> list[Instances]:
        """Return the boxes of each photo, in the space of the first view."""
        found = []
        for view in views:
            people = self._people_of(view)
            for each, (scale_x, scale_y) in zip(people, view.scales_wh, strict=True):
                each.pred_boxes.scale(1 / scale_x, 1 / scale_y)
            sizes_hw = views[0].images.image_sizes
            found.append(
                [
                    Instances(size_hw, **each.get_fields())
                    for size_hw, each in zip(sizes_hw, people, strict=True)
                ]
            )
        if len(views) == 1:
            return found[0]
        return [self._merge(Instances.cat(list(photo))) for photo in zip(*found, strict=True)]

    def _people_of(self, view: _View) -> list[Instances]:
        """Return the boxes of each photo, in the space of the view."""
        if self.gpu_parts is None:
            return detect(self.model, view.images, view.features)
        return self.gpu_parts.detect(view.images, view.features)

    def _merge(self, people: Instances) -> Instances:
        """Return the people of several views, each once."""
        predictor = self.model.roi_heads.box_predictor
        kept = batched_nms(
            people.pred_boxes.tensor, people.scores, people.pred_classes, predictor.test_nms_thresh
        )
        return people[kept[: predictor.test_topk_per_image]]

    def _heatmaps(self, view: _View, instances: list[Instances]) -> Tensor:
        """Return (R, K, S, S) logits of a view, as they are where the photo is not mirrored."""
        heads = self.model.roi_heads
        regions = keypoint_regions(heads, view.boxes_of(instances))
        if self.gpu_parts is None:
            features = [view.features[name] for name in heads.keypoint_in_features]
            pooled = heads.keypoint_pooler(features, regions)
        else:
            pooled = self.gpu_parts.pool_for_keypoints(view.features, regions)
        outputs = heads.keypoint_head.layers(pooled)
        if view.is_mirrored:
            outputs = heads.keypoint_head.mirrored(outputs, self.hflip_indices)
        return outputs
