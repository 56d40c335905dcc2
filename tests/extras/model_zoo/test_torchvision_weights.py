from collections import OrderedDict

import hypothesis.strategies as st
import pytest
import torch
from detectron2.config import instantiate
from helpers.repository import ROOT
from helpers.torchvision_models import as_published, build_frozen_model
from hypothesis import given
from hypothesis.extra.numpy import arrays
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from pose_project.engine import load_config
from pose_project.extras.model_zoo.torchvision_weights import (
    _NORMS,
    _change_eps,
    from_torchvision,
    to_torchvision,
)
from pose_project.utils.errors import InputError

CONFIG = str(ROOT / "configs/torchvision_keypoint_rcnn_R50_FPN.py")
BACKGROUND = [f"roi_heads.box_predictor.bbox_pred.{kind}" for kind in ("weight", "bias")]


@pytest.fixture(scope="module", params=[5])
def torchvision_weights(request):
    """Every number another, variances over eleven orders of magnitude."""
    with torch.device("meta"):
        model = detection.keypointrcnn_resnet50_fpn(
            weights_backbone=None, num_keypoints=request.param
        )
    torch.manual_seed(0)
    weights = OrderedDict()
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            weights[name] = 10 ** (11 * torch.rand(value.shape) - 9)
        elif value.is_floating_point():
            weights[name] = torch.randn(value.shape)
        else:
            weights[name] = torch.tensor(7)
    return weights


def same(left, right, without=()):
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left if name not in without)


def without_counters(weights):
    return {n: v for n, v in weights.items() if not n.endswith("num_batches_tracked")}


@pytest.mark.parametrize("torchvision_weights", [1, 17], indirect=True)
def test_it_fills_the_config_completely(torchvision_weights):
    conversion = from_torchvision(torchvision_weights)
    num_keypoints = len(torchvision_weights["roi_heads.keypoint_predictor.kps_score_lowres.bias"])
    head = "model.roi_heads.keypoint_head"
    cfg = load_config(CONFIG, [f"{head}.num_keypoints={num_keypoints}"])
    instantiate(cfg.model).load_state_dict(conversion.weights, strict=True)
    assert conversion.num_dropped == 53  # one counter for each BatchNorm of a ResNet-50
    assert len(conversion.weights) == len(torchvision_weights) - 53


def test_classes_and_deltas(torchvision_weights):
    converted = from_torchvision(torchvision_weights).weights
    for kind in ("weight", "bias"):
        scores, deltas = (f"roi_heads.box_predictor.{n}.{kind}" for n in ("cls_score", "bbox_pred"))
        background, person = torchvision_weights[scores]
        assert torch.equal(converted[scores], torch.stack([person, background]))
        assert torch.equal(converted[deltas], torchvision_weights[deltas][4:])


def test_round_trip_with_equal_eps_gives_every_bit(torchvision_weights):
    there = from_torchvision(torchvision_weights, bn_eps=1e-5)
    assert there.num_rescaled == 0
    back = to_torchvision(there.weights, bn_eps=1e-5).weights
    assert same(back, without_counters(torchvision_weights), without=BACKGROUND)
    for name in BACKGROUND:
        assert torch.equal(back[name][4:], torchvision_weights[name][4:])
        assert back[name][:4].count_nonzero() == 0
    assert same(from_torchvision(back, bn_eps=1e-5).weights, there.weights)


def test_round_trip_from_eps_0_gives_every_bit_but_of_tiny_variances(torchvision_weights):
    there = from_torchvision(torchvision_weights, bn_eps=0.0)
    back = to_torchvision(there.weights, bn_eps=0.0).weights
    touched = {f"{norm}.{kind}" for norm in _NORMS for kind in ("weight", "running_var")}
    assert same(back, without_counters(torchvision_weights), without={*touched, *BACKGROUND})
    num_tiny = 0
    for norm in _NORMS:
        weight, variance = f"{norm}.weight", f"{norm}.running_var"
        tiny = torchvision_weights[variance] < 4e-5
        num_tiny += int(tiny.sum())
        for name in (weight, variance):
            assert torch.equal(back[name][~tiny], torchvision_weights[name][~tiny])
        assert torch.equal(
            (back[weight] / back[variance].sqrt())[tiny].float(),
            (torchvision_weights[weight] / torchvision_weights[variance].sqrt())[tiny].float(),
        )
    assert num_tiny == there.num_rescaled > 1000
    assert same(from_torchvision(back, bn_eps=0.0).weights, there.weights)


@given(arrays("float32", 20, elements=st.floats(2**-14, 1e6, width=32)))
def test_variances_come_back_to_the_bit(variance):
    weights = {"n.weight": torch.ones(20), "n.running_var": torch.from_numpy(variance)}
    assert _change_eps(weights, ["n"], 0.0, 1e-5) == 0
    assert (weights["n.running_var"] > 0).all()
    assert _change_eps(weights, ["n"], 1e-5, 0.0) == 0
    assert torch.equal(weights["n.running_var"], torch.from_numpy(variance))


@given(
    arrays("float32", 20, elements=st.floats(float(2**-120), 1e6, width=32)),
    st.sampled_from([0.0, 1e-5, 1e-3]),
    st.sampled_from([0.0, 1e-5, 1e-3]),
)
def test_what_a_norm_computes_is_kept(variance, old, new):
    """The factor weight / sqrt(variance + eps), as Detectron2 computes it, in float32."""
    before = {"n.weight": torch.ones(20), "n.running_var": torch.from_numpy(variance)}
    after = dict(before)
    _change_eps(after, ["n"], old, new)
    expected = before["n.weight"].double() * (before["n.running_var"].double() + old).rsqrt()
    actual = after["n.weight"] * (after["n.running_var"] + new).rsqrt()
    torch.testing.assert_close(actual, expected.float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("value", [0.0, -1e-6, torch.nan])
def test_a_variance_that_torchvision_could_not_use_either(torchvision_weights, value):
    weights = dict(torchvision_weights)
    name = "backbone.body.layer2.0.bn1.running_var"
    weights[name] = weights[name].clone()
    weights[name][3] = value
    with pytest.raises(InputError, match=r"running_var \+ 0 is not positive in 1 of 128"):
        from_torchvision(weights, bn_eps=0.0)
    if value == value:
        from_torchvision(weights, bn_eps=1e-5)


def test_the_form_of_the_published_file(torchvision_weights, tmp_path):
    """Names as in the file, an OrderedDict saved by torch.save; torchvision itself loads it."""
    published = as_published(torchvision_weights)
    assert "backbone.fpn.inner_blocks.0.weight" in published
    assert "rpn.head.conv.weight" in published
    torch.save(published, tmp_path / "published.pth")
    expected = from_torchvision(torchvision_weights)
    actual = from_torchvision(torch.load(tmp_path / "published.pth", weights_only=True))
    assert same(actual.weights, expected.weights)
    assert (actual.num_dropped, actual.num_rescaled) == (53, expected.num_rescaled)
    frozen = build_frozen_model(published).state_dict()  # FrozenBatchNorm2d has no counters
    conversion = from_torchvision(as_published(frozen))
    assert same(conversion.weights, expected.weights)
    assert conversion.num_dropped == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_torchvision_loads_it_strictly(torchvision_weights, frozen, tmp_path):
    there = from_torchvision(torchvision_weights, bn_eps=1e-5)
    torch.save(to_torchvision(there.weights).weights, tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth")
    if frozen:
        model = build_frozen_model(back)
    else:
        with torch.device("meta"):
            model = detection.keypointrcnn_resnet50_fpn(weights_backbone=None, num_keypoints=5)
        model.load_state_dict(back, strict=True, assign=True)
    assert same(without_counters(model.state_dict()), back)


def test_other_families():
    for build, first in (
        (detection.maskrcnn_resnet50_fpn, "unknown.*mask_"),
        (detection.fasterrcnn_resnet50_fpn, "18 missing .first: roi_heads.keypoint"),
        (detection.retinanet_resnet50_fpn, "unknown .first: backbone.fpn.extra_blocks"),
    ):
        with torch.device("meta"):
            model = build(weights_backbone=None)
        with pytest.raises(InputError, match=first):
            from_torchvision(model.state_dict())
    with pytest.raises(InputError, match="313 missing"):
        from_torchvision({})


def test_wrong_content(torchvision_weights):
    with pytest.raises(InputError, match="Keypoint R-CNN R50-FPN, 313 tensors: 309 unknown"):
        to_torchvision(torchvision_weights)
    with pytest.raises(InputError, match="1 unknown .first: 3"):
        from_torchvision({**torchvision_weights, 3: torch.zeros(1)})
    name = "backbone.body.conv1.weight"
    for value, what in ((3, "int"), (torch.tensor(3.0), r"\(\)"), (torch.zeros(0, 2), r"\(0, 2\)")):
        with pytest.raises(InputError, match=f"{name} is not an array of numbers but {what}"):
            from_torchvision({**torchvision_weights, name: value})
    with pytest.raises(InputError, match=r"conv1.weight is \(3, 2\), not \(64, 3, 7, 7\)"):
        from_torchvision({**torchvision_weights, name: torch.zeros(3, 2)})
    with pytest.raises(InputError, match="old and its new name"):
        from_torchvision({**torchvision_weights, **as_published(torchvision_weights)})


def test_another_number_of_classes_or_another_width():
    with torch.device("meta"):
        three = detection.keypointrcnn_resnet50_fpn(weights_backbone=None, num_classes=3)
    with pytest.raises(InputError, match="of two classes.*cls_score"):
        from_torchvision(three.state_dict())
    with torch.device("meta"):
        backbone = resnet_fpn_backbone(backbone_name="wide_resnet50_2", weights=None)
        wide = detection.KeypointRCNN(backbone, 2)
    with pytest.raises(InputError, match="another shape"):
        from_torchvision(wide.state_dict())
