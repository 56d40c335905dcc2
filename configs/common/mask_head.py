"""Mask R-CNN's head beside the keypoint head: Mask R-CNN, section 5 "Human Pose Estimation"."""

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.model_zoo import get_config
from omegaconf import DictConfig

_MASK_PARTS = ("mask_in_features", "mask_pooler", "mask_head")


def add_masks(model: DictConfig, dataloader: DictConfig) -> None:
    """Give the model Detectron2's mask head, and the photos their masks."""
    heads, stock = model.roi_heads, get_config("common/models/mask_rcnn_fpn.py").model.roi_heads
    for part in _MASK_PARTS:
        heads[part] = stock[part]
    # a call, so that it can be saved: ShapeSpec itself is a tuple in release 0.6
    heads.mask_head.input_shape = L(ShapeSpec)(channels=256, height=14, width=14)
    dataloader.train.mapper.use_instance_mask = True
