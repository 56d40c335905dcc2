"""Detectron2's keypoint_rcnn_X_101_32x8d_FPN_3x."""

from detectron2.config import LazyCall as L

from pose_project.modeling import make_resnet_stages

from .keypoint_rcnn_R50_FPN_3x import dataloader, lr_multiplier, model, optimizer, train

# detectron2 configs/COCO-Keypoints/keypoint_rcnn_X_101_32x8d_FPN_3x.yaml
model.backbone.bottom_up.stages = L(make_resnet_stages)(
    num_blocks=[3, 4, 23, 3],
    in_channels=64,
    out_channels=[256, 512, 1024, 2048],
    bottleneck_channels=[256, 512, 1024, 2048],  # 32 groups, 8 wide in the first stage
    num_groups=32,
    stride_in_1x1=False,  # the weights come from Caffe2
    norm="FrozenBN",
)
model.pixel_std = [57.375, 57.120, 58.395]
train.init_checkpoint = "detectron2://ImageNetPretrained/FAIR/X-101-32x8d.pkl"
train.output_dir = "./output/keypoint_rcnn_X101_FPN_3x"
