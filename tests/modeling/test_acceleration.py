"""A faster model gives the same detections."""

import copy

import pytest
import torch
from detectron2.config import instantiate
from detectron2.layers import Conv2d, get_norm
from detectron2.structures import Instances
from torch import nn

from pose_project.engine import load_config
from pose_project.modeling.acceleration import (
    FastInference,
    InferenceSettings,
    fold_batchnorms,
    inference_model,
)
from pose_project.utils.errors import InputError

# float32 levers; the lowest precision has a test of its own
EXACT = [
    {"fold_batchnorm": True, "channels_last": False},
    {"fold_batchnorm": False, "channels_last": True},
    {},
]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A compact model with statistics of its own and detections that are far from ties."""
    cfg = load_config("configs/quick/synthetic.py")
    cfg.model.roi_heads.box_predictor.test_score_thresh = 0.0
    cfg.model.roi_heads.box_predictor.test_topk_per_image = 20
    torch.manual_seed(0)
    model = instantiate(cfg.model)
    for norm in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = 1.0
    with torch.no_grad():
        model.backbone(model.preprocess_image([make_photo()]).tensor)  # statistics
        model.proposal_generator.rpn_head.objectness_logits.weight *= 30
        model.roi_heads.box_predictor.cls_score.weight *= 30
    return model.eval()


def make_photo() -> dict:
    generator = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(1, 3, 24, 32, generator=generator)
    image = nn.functional.interpolate(coarse, size=(192, 256), mode="bicubic")[0]
    return {"image": image.clamp(0, 255).byte(), "height": 192, "width": 256}


def detect(model: nn.Module) -> Instances:
    with torch.no_grad():
        return model([make_photo()])[0]["instances"]


def assert_same_boxes(found: Instances, expected: Instances, atol: float) -> None:
    boxes = found.pred_boxes.tensor, expected.pred_boxes.tensor
    torch.testing.assert_close(*boxes, atol=atol, rtol=0)


@pytest.mark.parametrize("switches", EXACT)
def test_same_detections(model, switches):
    expected, found = detect(model), detect(FastInference(model, InferenceSettings(**switches)))
    assert len(found) == len(expected) == 20
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found.pred_boxes.tensor, expected.pred_boxes.tensor, atol=0.01, rtol=0
    )
    distance = (found.pred_keypoints - expected.pred_keypoints)[..., :2].norm(dim=2)
    # a map of random weights may have two peaks that tie within rounding
    assert (distance < 0.01).float().mean() > 0.99


def test_low_precision_finds_the_same_people(model):
    expected, found = detect(model), detect(FastInference(model, InferenceSettings(dtype="bf16")))
    assert found.scores.dtype == found.pred_keypoints.dtype == torch.float32
    best, same = expected.pred_boxes.tensor[0], found.pred_boxes.tensor
    assert (same - best).abs().amax(dim=1).min() < 2  # px of a photo of 256


def test_the_model_is_left_as_it_is(model):
    before, training = copy.deepcopy(model.state_dict()), model.training
    fast = FastInference(model, InferenceSettings(dtype="bf16"))
    detect(fast)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert model.training == training
    assert not any(each.requires_grad for each in fast.parameters())


@pytest.mark.parametrize("norm", ["FrozenBN", "BN"])
@pytest.mark.parametrize("bias", [True, False])
def test_batchnorm_is_folded(norm, bias):
    torch.manual_seed(0)
    layer = Conv2d(4, 6, 3, bias=bias, norm=get_norm(norm, 6), activation=nn.functional.relu).eval()
    layer.norm.running_mean.normal_()
    layer.norm.running_var.uniform_(0.1, 2)
    nn.init.normal_(layer.norm.weight) if norm == "BN" else layer.norm.weight.normal_()
    features = torch.randn(2, 4, 9, 9)
    expected = layer(features)
    fold_batchnorms(layer)
    assert layer.norm is None
    torch.testing.assert_close(layer(features), expected, atol=1e-5, rtol=1e-5)


def test_groupnorm_is_not_folded():
    layer = Conv2d(4, 32, 3, norm=get_norm("GN", 32)).eval()
    norm = layer.norm
    fold_batchnorms(layer)
    assert layer.norm is norm


@pytest.mark.parametrize(("dtype", "message"), [("fp8", "fp32.*bf16.*fp16"), ("fp16", "GPU")])
def test_dtype_that_cannot_be_had(model, dtype, message):
    with pytest.raises(InputError, match=message):
        inference_model(model, {"dtype": dtype}, None)


@pytest.mark.integration
def test_compiled_backbone_gives_the_same_detections(model):
    expected = detect(FastInference(model))
    found = detect(FastInference(model, InferenceSettings(compile_backbone=True)))
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        found.pred_boxes.tensor, expected.pred_boxes.tensor, atol=0.1, rtol=0
    )
