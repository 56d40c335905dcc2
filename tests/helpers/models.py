"""Models of a few channels and photos for them, made in a moment."""

from typing import Any

import torch
from detectron2.config import instantiate
from torch import nn

from pose_project.engine import load_config


def make_model(config: str = "configs/quick/synthetic.py", num_classes: int = 1) -> nn.Module:
    """A compact model with statistics of its own and detections that are far from ties."""
    cfg = load_config(config)
    predictor = cfg.model.roi_heads.box_predictor
    predictor.test_score_thresh, predictor.test_topk_per_image = 0.05, 20
    cfg.model.roi_heads.num_classes = num_classes
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    for norm in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.momentum = 1.0
    with torch.no_grad():
        model.backbone(model.preprocess_image(make_photos()[:1]).tensor)  # statistics
        model.proposal_generator.rpn_head.objectness_logits.weight *= 30
        model.proposal_generator.rpn_head.anchor_deltas.weight *= 10
        model.roi_heads.box_predictor.cls_score.weight *= 30
    return model.eval()


def make_photos(*widths: int) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    photos = []
    for width in widths or (256, 224):
        coarse = 255 * torch.rand(1, 3, 24, width // 8, generator=generator)
        image = nn.functional.interpolate(coarse, size=(192, width), mode="bicubic")[0]
        photos.append({"image": image.clamp(0, 255).byte(), "height": 96, "width": width // 2})
    return photos
