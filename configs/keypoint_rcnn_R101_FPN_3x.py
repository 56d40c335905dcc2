"""Detectron2's keypoint_rcnn_R_101_FPN_3x."""

from .keypoint_rcnn_R50_FPN_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
train.output_dir = "./output/keypoint_rcnn_R101_FPN_3x"
