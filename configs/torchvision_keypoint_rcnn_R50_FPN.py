"""torchvision's keypointrcnn_resnet50_fpn: from its converted weights it computes the same.

What torchvision and Detectron2 agree on is not repeated: anchor sizes and ratios, 1000 proposals
per level and photo in testing, IoU thresholds, score threshold 0.05, NMS at 0.7 and 0.5, 100
detections, box deltas, padding to multiples of 32, decoding of heatmaps. The third column of
``pred_keypoints`` is this project's score, where torchvision returns the logit.
"""

from detectron2.config import LazyCall as L

from pose_project.extras.other_models.torchvision_rcnn import (
    TorchvisionAnchorGenerator,
    TorchvisionOutputLayers,
)
from pose_project.extras.other_models.torchvision_resize import BilinearResize

# torchvision's recipe, references/detection/README.md
from .keypoint_rcnn_R50_FPN_46ep import dataloader, lr_multiplier, model, optimizer, train

# Paths are of torchvision/models/detection. faster_rcnn.py, FasterRCNN: image_mean, image_std
model.input_format = "RGB"
model.pixel_mean = [0.485 * 255, 0.456 * 255, 0.406 * 255]
model.pixel_std = [0.229 * 255, 0.224 * 255, 0.225 * 255]

# ../resnet.py, Bottleneck: "places the stride for downsampling at 3x3 convolution"
model.backbone.bottom_up.stages.stride_in_1x1 = False

rpn = model.proposal_generator
rpn.anchor_generator._target_ = TorchvisionAnchorGenerator
rpn.post_nms_topk = (2000, 1000)  # keypoint_rcnn.py: rpn_post_nms_top_n_{train,test}
rpn.min_box_size = 1e-3  # rpn.py, RegionProposalNetwork: min_size
rpn.smooth_l1_beta = 1 / 9  # rpn.py, compute_loss

heads = model.roi_heads
for pooler in (heads.box_pooler, heads.keypoint_pooler):
    # faster_rcnn.py, keypoint_rcnn.py: MultiScaleRoIAlign, sampling_ratio 2, not aligned
    pooler.update(pooler_type="ROIAlign", sampling_ratio=2)
heads.box_predictor._target_ = TorchvisionOutputLayers
heads.box_predictor.smooth_l1_beta = 1 / 9  # roi_heads.py, fastrcnn_loss

# keypoint_rcnn.py: min_size (of which testing takes the last), max_size
dataloader.train.mapper.augmentations[0] = L(BilinearResize)(
    short_edge_length=(640, 672, 704, 736, 768, 800), max_size=1333
)
dataloader.test.mapper.augmentations[0] = L(BilinearResize)(short_edge_length=800, max_size=1333)

# what tools/convert_weights.py --from torchvision has written
train.init_checkpoint = "./weights/torchvision_keypoint_rcnn_R50_FPN.pth"
train.output_dir = "./output/torchvision_keypoint_rcnn_R50_FPN"
