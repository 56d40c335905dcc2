"""Masks and keypoints in one model; COCO's person annotations have both."""

from .common.mask_head import add_masks
from .keypoint_rcnn_R50_FPN_3x import dataloader, lr_multiplier, model, optimizer, train

add_masks(model, dataloader)
train.output_dir = "./output/mask_keypoint_rcnn_R50_FPN_3x"
