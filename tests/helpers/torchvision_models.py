"""torchvision models and weights that exercise every layer, without a download."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.detection import KeypointRCNN, keypointrcnn_resnet50_fpn
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.resnet import Bottleneck


def build_frozen_model(
    weights: dict[str, Tensor], bn_eps: float = 1e-5, **arguments: int
) -> KeypointRCNN:
    """Return the model as torchvision builds it for its published weights: FrozenBatchNorm2d."""
    num_keypoints = len(weights["roi_heads.keypoint_predictor.kps_score_lowres.bias"])
    with torch.device("meta"):
        backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    model = KeypointRCNN(backbone, 2, num_keypoints=num_keypoints, **arguments)
    model.load_state_dict(weights, strict=True, assign=True)
    overwrite_eps(model, bn_eps)
    return model.eval()


def as_published(weights: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Return weights under the names of the published files, which are of before torchvision 0.12.

    torchvision's own loading renames them, see ``_OLD_NAMES`` of the conversion.
    """
    old = {"rpn.head.conv.0.0": "rpn.head.conv"}
    for name in (f"backbone.fpn.{k}_blocks.{i}" for k in ("inner", "layer") for i in range(4)):
        old[f"{name}.0"] = name
    layers = [(name.rpartition("."), value) for name, value in weights.items()]
    return OrderedDict((f"{old.get(layer, layer)}.{kind}", v) for (layer, _, kind), v in layers)


def random_weights(photos: Tensor, bn_eps: float, num_keypoints: int = 5) -> dict[str, Tensor]:
    """Return weights with the BatchNorm statistics of photos and many detections on them.

    A third of the channels of every BatchNorm have a tiny variance, down to 1e-12 of the true one,
    and a weight as small to go with it, as dead channels of trained networks do.

    Args:
        photos: (B, 3, H, W) RGB in [0, 1].
        bn_eps: what the model will be run with.
        num_keypoints: K.
    """
    torch.manual_seed(0)
    model = keypointrcnn_resnet50_fpn(weights_backbone=None, num_keypoints=num_keypoints)
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.3, 1.0)
        nn.init.normal_(norm.bias, std=0.2)
    for block in (each for each in model.modules() if isinstance(each, Bottleneck)):
        # the identity outweighs the branch, or 50 random layers amplify rounding a thousandfold
        nn.init.uniform_(block.bn3.weight, 0.1, 0.3)
    with torch.no_grad():
        images = torch.stack([model.transform.normalize(each) for each in photos])
        model.backbone.train()(images)
        for norm in norms:
            shrink = 10 ** (-6 * torch.rand(norm.num_features))
            shrink[torch.rand(norm.num_features) > 1 / 3] = 1
            norm.weight *= shrink
            norm.running_var *= shrink**2
            norm.eps = max(bn_eps, 1e-30)  # unlike torchvision's frozen one, this layer refuses 0
        features = model.backbone.eval()(images)
        for layer, feature in zip(model.backbone.fpn.layer_blocks, features.values(), strict=False):
            layer[0].weight /= feature.std()
        # training would give the outputs a spread
        predictor = model.roi_heads.box_predictor
        for layer, gain in (
            (model.rpn.head.cls_logits, 60),
            (model.rpn.head.bbox_pred, 5),
            (predictor.cls_score, 15),
            (predictor.bbox_pred, 8),
        ):
            layer.weight *= gain
            nn.init.normal_(layer.bias, std=0.2)
    return model.state_dict()
