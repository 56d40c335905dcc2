"""A Keypoint R-CNN small enough to learn from scratch on a CPU in minutes.

The same parts as configs/common/model.py at a fraction of the width; widths and counts were chosen
by trial on synthetic photos with a short side of 192 pixels.
"""

from detectron2.config import LazyCall as L

from pose_project.modeling import make_resnet_stages

from .model import model

# From random weights: BatchNorm that learns, and nothing frozen. FrozenBN diverges in a few steps.
bottom_up = model.backbone.bottom_up
bottom_up.freeze_at = 0
bottom_up.stem.update(out_channels=32, norm="BN")
bottom_up.stages = L(make_resnet_stages)(  # ResNet-18 at half its width
    num_blocks=[2, 2, 2, 2], in_channels=32, out_channels=[32, 64, 128, 256], norm="BN"
)
model.backbone.update(out_channels=64, norm="BN")

# Half the sizes of the full model, whose photos are four times as large.
model.proposal_generator.head.in_channels = 64
model.proposal_generator.anchor_generator.sizes = [[16], [32], [64], [128], [256]]
model.proposal_generator.batch_size_per_image = 128
model.proposal_generator.pre_nms_topk = (500, 300)
model.proposal_generator.post_nms_topk = (150, 100)

heads = model.roi_heads
heads.batch_size_per_image = 32
heads.box_head.update(fc_dims=[256])
heads.box_head.input_shape.update(channels=64)
heads.box_predictor.input_shape.update(channels=256)
heads.keypoint_head.update(conv_dims=[128] * 4)
heads.keypoint_head.input_shape.update(channels=64)
