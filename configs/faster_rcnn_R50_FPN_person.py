"""Faster R-CNN for people, the slides' step before keypoints: boxes only, on the same photos."""

from .common.boxes_only import boxes_only
from .keypoint_rcnn_R50_FPN_1x import dataloader, lr_multiplier, model, optimizer, train

boxes_only(model, dataloader, train)
train.output_dir = "./output/faster_rcnn_R50_FPN_person"
