"""Detectron2's R50-FPN Keypoint R-CNN with this project's keypoint head in it."""

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.model_zoo import get_config

from pose_project.modeling import SpatialSoftmaxKeypointHead

model = get_config("common/models/keypoint_rcnn_fpn.py").model

# Stem and res2 stay as pretrained: FREEZE_AT of detectron2 config/defaults.py,
# trainable_backbone_layers=3 of the reference that the slides follow (torchvision).
model.backbone.bottom_up.freeze_at = 2

# As calls, so that a shape can be overridden and saved: ShapeSpec itself is a tuple in release 0.6.
heads = model.roi_heads
heads.box_head.input_shape = L(ShapeSpec)(channels=256, height=7, width=7)
heads.box_predictor.input_shape = L(ShapeSpec)(channels=1024)
heads.keypoint_head = L(SpatialSoftmaxKeypointHead)(
    # 14x14 features, eight 3x3 convolutions of 512: Mask R-CNN, section 5 "Human Pose Estimation"
    input_shape=L(ShapeSpec)(channels=256, height=14, width=14),
    num_keypoints=17,
    conv_dims=[512] * 8,
    up_scale=2,  # 56x56; the slides' 28x28 map is 1
    loss_weight=1.0,
    loss_normalizer="visible",  # detectron2 configs/common/models/keypoint_rcnn_fpn.py
)
