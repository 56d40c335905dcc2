"""configs/keypoint_rcnn_R50_FPN_3x.py with what docs/refined.md found or cites to help.

Regions, the OKS loss and the learned score helped on synthetic images. Masks in training and
attention rest on published figures on COCO: 64.0 to 65.3 and 65.5 to 68.1 keypoint AP.
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
