"""The keypoint head and its pure parts: targets, loss, decoding.

Importing this registers :class:`SpatialSoftmaxKeypointHead` in Detectron2's registry.
"""

from pose_project.modeling.backbone import make_resnet_stages
from pose_project.modeling.decoding import decode_heatmaps
from pose_project.modeling.keypoint_head import SpatialSoftmaxKeypointHead, add_pose_config
from pose_project.modeling.losses import encode_keypoints, keypoint_loss

__all__ = [
    "SpatialSoftmaxKeypointHead",
    "add_pose_config",
    "decode_heatmaps",
    "encode_keypoints",
    "keypoint_loss",
    "make_resnet_stages",
]
