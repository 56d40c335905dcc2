"""The R50-FPN Keypoint R-CNN on both sides of a comparison, with the same weights and no download.

Random weights, but with the statistics of a trained network: normalised features at every depth,
scores that spread over (0, 1), and as many detections in a photo as are asked for.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import LazyConfig, instantiate
from detectron2.layers import FrozenBatchNorm2d
from detectron2.model_zoo import get_config
from detectron2.modeling.backbone.resnet import BottleneckBlock
from omegaconf import DictConfig
from torch import Tensor, nn
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from pose_project.extras.model_zoo.torchvision_weights import to_torchvision

_CONFIGS = Path(__file__).resolve().parents[1] / "configs"
# Random layers give nearly equal numbers, whose order rounding would decide.
_SPREAD = {"objectness_logits": 30.0, "anchor_deltas": 3.0, "cls_score": 30.0, "bbox_pred": 30.0}


def stock_config() -> DictConfig:
    """Return the model zoo's R50-FPN keypoint model, all of it Detectron2's."""
    model = get_config("common/models/keypoint_rcnn_fpn.py").model
    model.backbone.bottom_up.freeze_at = 2  # as in the model zoo's training
    return model


def our_config(name: str = "common/model.py") -> DictConfig:
    """Return the model of a config of this project."""
    return LazyConfig.load(str(_CONFIGS / name)).model


def make_photos(batch: int, height: int, width: int) -> list[dict[str, Any]]:
    """Return smooth random photos as model inputs: (3, H, W) uint8."""
    generator = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(batch, 3, height // 32, width // 32, generator=generator)
    images = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 255).byte()
    return [{"image": image, "height": height, "width": width} for image in images]


@torch.no_grad()
def random_weights(config: DictConfig) -> dict[str, Tensor]:
    """Return weights for a model with FrozenBatchNorm, a function of the config alone."""
    torch.manual_seed(0)
    model = instantiate(config).eval()
    for block in (each for each in model.modules() if isinstance(each, BottleneckBlock)):
        # the identity outweighs the branch, or fifty random layers amplify rounding
        block.conv3.norm.weight.fill_(0.2)
    norms = [each for each in model.modules() if isinstance(each, FrozenBatchNorm2d)]
    handles = [each.register_forward_pre_hook(_take_statistics) for each in norms]
    model.backbone(model.preprocess_image(make_photos(1, 320, 448)).tensor)
    for handle in handles:
        handle.remove()
    for name, layer in model.named_modules():
        layer_name = name.rpartition(".")[2]
        if layer_name in _SPREAD:
            layer.weight *= _SPREAD[layer_name]
    return model.state_dict()


def _take_statistics(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
    norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3)))


def build(config: DictConfig, weights: dict[str, Tensor], device: torch.device) -> nn.Module:
    """Return a Detectron2 model in evaluation mode."""
    model = instantiate(config)
    model.load_state_dict(weights)
    return model.eval().to(device)


def build_torchvision(weights: dict[str, Tensor], device: torch.device) -> nn.Module:
    """Return torchvision's model with the weights of our torchvision config."""
    model = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    # counters of BatchNorm, which mean nothing in evaluation, are not there
    model.load_state_dict(to_torchvision(weights).weights, strict=False)
    return model.eval().to(device)
