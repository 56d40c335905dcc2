"""configs/keypoint_rcnn_R50_FPN_refined_3x.py, fine-tuned from a Mask R-CNN of 400 epochs."""

from .common.schedule import schedule_1x as lr_multiplier
from .common.starting_points import start_from_mask_rcnn
from .keypoint_rcnn_R50_FPN_refined_3x import dataloader, model, optimizer, train

start_from_mask_rcnn(model, train, "regnety_4gf_dds")
train.max_iter = 90_000
train.output_dir = "./output/keypoint_rcnn_regnety_4gf_FPN_from_mask_rcnn_1x"
