"""What lifts Keypoint R-CNN beyond its published 65.5 AP, each by itself; docs/refined.md."""

from omegaconf import DictConfig

from pose_project.extras.refined_heads.keypoint_heads import (
    GlobalContextKeypointHead,
    LikelihoodKeypointHead,
)
from pose_project.modeling import PoseROIHeads
from pose_project.structures import COCO_PERSON

from .mask_head import add_masks


def enlarge_regions(model: DictConfig, scale: float = 1.3) -> None:
    """Look for keypoints in boxes enlarged about their centres."""
    model.roi_heads._target_ = PoseROIHeads
    model.roi_heads.region_scale = scale


def pool_from_p2(model: DictConfig) -> None:
    """Take the keypoint features of everybody from the finest map, also of large people."""
    model.roi_heads.keypoint_in_features = ["p2"]
    model.roi_heads.keypoint_pooler.scales = [1 / 4]


def teach_with_masks(model: DictConfig, dataloader: DictConfig) -> None:
    """Add Mask R-CNN's loss in training; no masks are predicted."""
    add_masks(model, dataloader)
    heads = model.roi_heads
    heads._target_ = PoseROIHeads
    heads.masks_only_teach = True
    heads.mask_head.input_shape.channels = heads.keypoint_head.input_shape.channels
    dataloader.train.mapper.keep_without_mask = True


def add_oks_loss(model: DictConfig, weight: float = 2.0) -> None:
    """Also train for the expectation of the metric."""
    head = model.roi_heads.keypoint_head
    head.oks_sigmas = list(COCO_PERSON.oks_sigmas)
    head.oks_loss_weight = weight


def learn_score(model: DictConfig, weight: float = 1.0) -> None:
    """Rank people by the OKS that a branch has learned to expect."""
    head = model.roi_heads.keypoint_head
    head.oks_sigmas = list(COCO_PERSON.oks_sigmas)
    head.score_loss_weight = weight


def add_global_context(model: DictConfig, num_heads: int = 4) -> None:
    """Put self-attention among the convolutions of the keypoint head."""
    head = model.roi_heads.keypoint_head
    head._target_ = GlobalContextKeypointHead
    head.num_heads = num_heads


def regress_by_likelihood(model: DictConfig) -> None:
    """Regress coordinates and their scales instead of heatmaps."""
    head = model.roi_heads.keypoint_head
    head._target_ = LikelihoodKeypointHead
    for key in ("up_scale", "keep_heatmaps", "oks_loss_weight"):
        head.pop(key, None)
