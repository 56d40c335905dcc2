"""The slides' training with the slides' map: 28x28x17, without the enlargement to 56x56."""

from .keypoint_rcnn_R50_FPN_42ep import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads.keypoint_head.up_scale = 1
train.output_dir = "./output/keypoint_rcnn_R50_FPN_42ep_28x28"
