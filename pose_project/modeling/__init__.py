"""The keypoint head and its pure parts: targets, loss, decoding.

Importing this registers :class:`SpatialSoftmaxKeypointHead` in Detectron2's registry.
"""

from pose_project.modeling.backbone import make_resnet_stages
from pose_project.modeling.decoding import decode_heatmaps
from pose_project.modeling.keypoint_head import SpatialSoftmaxKeypointHead, add_pose_config
from pose_project.modeling.losses import keypoint_loss
from pose_project.modeling.stock_decoding import patch_stock_decoding
from pose_project.modeling.targets import encode_keypoints

__all__ = [
    "SpatialSoftmaxKeypointHead",
    "add_pose_config",
    "decode_heatmaps",
    "encode_keypoints",
    "keypoint_loss",
    "make_resnet_stages",
    "patch_stock_decoding",
]
