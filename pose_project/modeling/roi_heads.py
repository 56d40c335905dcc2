"""Detectron2's heads with room around people, and with masks that only teach."""

from typing import Any

from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, StandardROIHeads
from detectron2.modeling.roi_heads.roi_heads import (
    select_foreground_proposals,
    select_proposals_with_visible_keypoints,
)
from detectron2.structures import Boxes, Instances
from torch import Tensor, nn

from pose_project.modeling.keypoint_predictions import enlarge, keypoint_regions


@ROI_HEADS_REGISTRY.register()
class PoseROIHeads(StandardROIHeads):
    """``StandardROIHeads`` with two switches; with both off it is the same.

    Args:
        region_scale: keypoints are looked for in the box enlarged by this factor about its centre,
            in training and in use. Of COCO's labelled keypoints 4.6 % lie outside the true box,
            1.4 % outside one 1.3 times as large.
        masks_only_teach: the mask head adds its loss in training (Mask R-CNN, section 5: masks and
            keypoints help each other) and nothing else: no masks are predicted. People without a
            mask take no part in that loss.
        arguments: of ``StandardROIHeads``.

    Raises:
        ValueError: if ``region_scale`` is below 1.
    """

    @configurable
    def __init__(
        self, *, region_scale: float = 1.0, masks_only_teach: bool = False, **arguments: Any
    ) -> None:
        if region_scale < 1:
            raise ValueError(f"region_scale must be at least 1, got {region_scale}")
        super().__init__(**arguments)
        self.region_scale = region_scale
        self.masks_only_teach = masks_only_teach
        self.only_in_training = ("mask_head",) if masks_only_teach else ()
        if self.keypoint_on:
            self.keypoint_head.region_scale = region_scale

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        """Read a yacs config; both keys are there after ``add_pose_config``."""
        arguments = super().from_config(cfg, input_shape)
        arguments["region_scale"] = cfg.MODEL.ROI_KEYPOINT_HEAD.get("REGION_SCALE", 1.0)
        arguments["masks_only_teach"] = cfg.MODEL.ROI_MASK_HEAD.get("ONLY_TEACHES", False)
        return arguments

    def _forward_keypoint(
        self, features: dict[str, Tensor], instances: list[Instances]
    ) -> dict[str, Tensor] | list[Instances]:
        if self.region_scale == 1 or not self.keypoint_on:
            return super()._forward_keypoint(features, instances)
        if self.training:
            instances, _ = select_foreground_proposals(instances, self.num_classes)
            for each in instances:  # copies; from here on the region is what counts
                each.proposal_boxes = Boxes(enlarge(each.proposal_boxes.tensor, self.region_scale))
            instances = select_proposals_with_visible_keypoints(instances)
            regions = [each.proposal_boxes for each in instances]
        else:
            regions = keypoint_regions(self, [each.pred_boxes for each in instances])
        maps = [features[name] for name in self.keypoint_in_features]
        return self.keypoint_head(self.keypoint_pooler(maps, regions), instances)

    def _forward_mask(
        self, features: dict[str, Tensor], instances: list[Instances]
    ) -> dict[str, Tensor] | list[Instances]:
        if not self.masks_only_teach:
            return super()._forward_mask(features, instances)
        if not self.training:
            return instances
        with_mask = [
            each[each.gt_masks.nonempty()] if each.has("gt_masks") else each for each in instances
        ]
        return super()._forward_mask(features, with_mask)


def predicts_masks(heads: nn.Module) -> bool:
    """Return whether people come with masks."""
    return heads.mask_on and not getattr(heads, "masks_only_teach", False)
