"""configs/keypoint_rcnn_R50_FPN_3x.py with the switches of docs/refined.md.

The OKS loss, the learned score and attention were measured on synthetic images, regions on such
with as many keypoints outside of boxes as COCO has. Masks rest on published figures for COCO: 64.0
to 65.3 keypoint AP. Attention has 68.1 there instead of 65.5.
"""

from .common.refined import (
    add_global_context,
    add_oks_loss,
    enlarge_regions,
    learn_score,
    teach_with_masks,
)
from .keypoint_rcnn_R50_FPN_3x import dataloader, lr_multiplier, model, optimizer, train

enlarge_regions(model)
add_oks_loss(model)
learn_score(model)
teach_with_masks(model, dataloader)
add_global_context(model)
train.output_dir = "./output/keypoint_rcnn_R50_FPN_refined_3x"
