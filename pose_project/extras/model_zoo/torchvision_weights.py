"""Weights of torchvision's ``keypointrcnn_resnet50_fpn`` as this project's, and back.

Only names and conventions differ; ``configs/torchvision_keypoint_rcnn_R50_FPN.py`` is the model
that computes the same from the converted weights.

- Classes: torchvision counts background first, Detectron2 last: the two rows are swapped.
- Box deltas: torchvision predicts them for background as well and never uses those.
- BatchNorm: Detectron2 adds 1e-5 to the variance. torchvision adds 0 in the published ``COCO_V1``
  weights and 1e-5 in every other model, see :func:`from_torchvision`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from pose_project.utils.errors import InputError

# detectron2 layers/batch_norm.py, FrozenBatchNorm2d; torchvision ops/misc.py has the same default.
DETECTRON2_BN_EPS = 1e-5

_CLASS_SCORES = "roi_heads.box_predictor.cls_score"  # both sides call these two the same
_BOX_DELTAS = "roi_heads.box_predictor.bbox_pred"


@dataclass(frozen=True)
class Conversion:
    """Converted weights and what was done to them.

    Args:
        weights: a state dict of the other side.
        num_dropped: counters of BatchNorm that were left out.
        num_rescaled: channels of BatchNorm whose weight and variance were multiplied by powers of
            two, see :func:`from_torchvision`.
    """

    weights: dict[str, Tensor]
    num_dropped: int
    num_rescaled: int


def from_torchvision(weights: Mapping[str, Any], bn_eps: float = 0.0) -> Conversion:
    """Return Detectron2's state dict for torchvision's.

    A difference between ``bn_eps`` and Detectron2's 1e-5 is folded into ``running_var``, which
    becomes var + bn_eps - 1e-5. Where that would be negative or lose most of its digits (the sum
    is under 4e-5, dead channels mostly), weight and sum are first multiplied by 2^k and 4^k, which
    is exact and the same function: w / sqrt(v) = (2^k w) / sqrt(4^k v).

    Converting back with the same ``bn_eps``, 0 or 1e-5, gives every bit again but for the box
    deltas of background (zeros then) and those few channels (which stay multiplied).

    Args:
        weights: {name: tensor} with today's names or those of the published files, which are
            older. ``num_batches_tracked`` may be there.
        bn_eps: what the torchvision model adds to variances: 0 for ``COCO_V1``
            (``keypointrcnn_resnet50_fpn(weights=...)`` sets it after loading), 1e-5 for
            ``COCO_LEGACY`` and for models trained from other weights.

    Raises:
        InputError: if names or shapes are not those of a ``keypointrcnn_resnet50_fpn`` with two
            classes, or a variance plus ``bn_eps`` is not positive.
    """
    renamed = {_OLD_NAMES.get(name, name): value for name, value in weights.items()}
    source, num_dropped = _without_counters(renamed)
    if len(renamed) < len(weights):
        raise InputError("these weights hold the same tensor under its old and its new name")
    _check_names(source, set(_NAMES), "torchvision's keypointrcnn_resnet50_fpn")
    _check_shapes(source)
    converted = {ours: source[theirs] for theirs, ours in _NAMES.items()}
    for kind in ("weight", "bias"):
        converted[f"{_CLASS_SCORES}.{kind}"] = source[f"{_CLASS_SCORES}.{kind}"].flip(0)
        converted[f"{_BOX_DELTAS}.{kind}"] = source[f"{_BOX_DELTAS}.{kind}"][4:].clone()
    num_rescaled = _change_eps(converted, _NORMS.values(), bn_eps, DETECTRON2_BN_EPS)
    return Conversion(converted, num_dropped, num_rescaled)


def to_torchvision(weights: Mapping[str, Any], bn_eps: float = DETECTRON2_BN_EPS) -> Conversion:
    """Return torchvision's state dict for Detectron2's: the inverse of :func:`from_torchvision`.

    Box deltas of background are filled with zeros. Converting there and back gives every bit again
    with a ``bn_eps`` of 1e-5; with another one, variances within float32's rounding.

    Args:
        weights: {name: tensor} of ``configs/torchvision_keypoint_rcnn_R50_FPN.py``. Names do not
            tell other models of the same shapes apart, such as those of the model zoo, whose
            channels are BGR.
        bn_eps: what the torchvision model will add to variances: 1e-5 in
            ``keypointrcnn_resnet50_fpn(weights_backbone=None)``.

    Raises:
        InputError: as :func:`from_torchvision`.
    """
    source, num_dropped = _without_counters(weights)
    _check_names(source, set(_NAMES.values()), "this project's Keypoint R-CNN R50-FPN")
    converted = {theirs: source[ours] for theirs, ours in _NAMES.items()}
    for kind in ("weight", "bias"):
        converted[f"{_CLASS_SCORES}.{kind}"] = source[f"{_CLASS_SCORES}.{kind}"].flip(0)
        deltas = source[f"{_BOX_DELTAS}.{kind}"]
        converted[f"{_BOX_DELTAS}.{kind}"] = torch.cat([torch.zeros_like(deltas), deltas])
    _check_shapes(converted)
    num_rescaled = _change_eps(converted, _NORMS, DETECTRON2_BN_EPS, bn_eps)
    return Conversion(converted, num_dropped, num_rescaled)


def _change_eps(weights: dict[str, Tensor], norms: Any, old: float, new: float) -> int:
    """Keep what BatchNorm layers compute as their eps changes; return the channels rescaled."""
    num_rescaled = 0
    for norm in norms if old != new else ():
        weight, variance = weights[f"{norm}.weight"], weights[f"{norm}.running_var"]
        spread = variance.double() + old
        if not (spread > 0).all():
            raise InputError(
                f"{norm}.running_var + {old:g} is not positive in {(~(spread > 0)).sum()} of "
                f"{len(spread)} channels; were these weights trained with another eps (--bn-eps)?"
            )
        exponent = (torch.log2(4 * max(old, new) / spread) / 2).ceil().clamp(min=0)
        factor = torch.exp2(exponent)
        weights[f"{norm}.weight"] = (weight * factor).to(weight.dtype)
        weights[f"{norm}.running_var"] = (spread * factor**2 - new).to(variance.dtype)
        num_rescaled += int((exponent > 0).sum())
    return num_rescaled


def _without_counters(weights: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    kept = {n: v for n, v in weights.items() if not str(n).endswith("num_batches_tracked")}
    return kept, len(weights) - len(kept)


def _check_names(weights: Mapping[str, Any], expected: set[str], whose: str) -> None:
    unknown = [str(name) for name in weights if name not in expected]
    missing = sorted(expected - set(weights))
    if unknown or missing:
        shown = "; ".join(
            f"{len(names)} {what} (first: {', '.join(names[:3])})"
            for names, what in ((unknown, "unknown"), (missing, "missing"))
            if names
        )
        raise InputError(f"these are not weights of {whose}, {len(expected)} tensors: {shown}")
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or value.numel() == 0:
            what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"{name} is not an array of numbers but {what}")


def _check_shapes(weights: Mapping[str, Tensor]) -> None:
    """Compare torchvision's state dict with the model that it will be loaded into."""
    num_keypoints = len(weights["roi_heads.keypoint_predictor.kps_score_lowres.bias"])
    with torch.device("meta"):
        model = keypointrcnn_resnet50_fpn(weights_backbone=None, num_keypoints=num_keypoints)
    expected = model.state_dict()
    wrong = [
        f"{name} is {tuple(value.shape)}, not {tuple(expected[name].shape)}"
        for name, value in weights.items()
        if value.shape != expected[name].shape
    ]
    if wrong:
        raise InputError(
            f"{len(wrong)} tensors have another shape than in a Keypoint R-CNN R50-FPN of two "
            f"classes, background included (first: {wrong[0]})"
        )


def _convolutions_and_norms() -> tuple[dict[str, str], dict[str, str]]:
    """Return {torchvision: Detectron2} of the ResNet's convolutions and of their BatchNorms."""
    convolutions = {"backbone.body.conv1": "backbone.bottom_up.stem.conv1"}
    norms = {"backbone.body.bn1": "backbone.bottom_up.stem.conv1.norm"}
    for stage, num_blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(num_blocks):
            theirs = f"backbone.body.layer{stage}.{block}"
            ours = f"backbone.bottom_up.res{stage + 1}.{block}"
            for index in (1, 2, 3):
                convolutions[f"{theirs}.conv{index}"] = f"{ours}.conv{index}"
                norms[f"{theirs}.bn{index}"] = f"{ours}.conv{index}.norm"
            if block == 0:
                convolutions[f"{theirs}.downsample.0"] = f"{ours}.shortcut"
                norms[f"{theirs}.downsample.1"] = f"{ours}.shortcut.norm"
    return convolutions, norms


_CONVOLUTIONS, _NORMS = _convolutions_and_norms()

# {torchvision: Detectron2} of the layers with weight and bias.
_LAYERS = {
    **{f"backbone.fpn.inner_blocks.{i}.0": f"backbone.fpn_lateral{i + 2}" for i in range(4)},
    **{f"backbone.fpn.layer_blocks.{i}.0": f"backbone.fpn_output{i + 2}" for i in range(4)},
    "rpn.head.conv.0.0": "proposal_generator.rpn_head.conv",
    "rpn.head.cls_logits": "proposal_generator.rpn_head.objectness_logits",
    "rpn.head.bbox_pred": "proposal_generator.rpn_head.anchor_deltas",
    "roi_heads.box_head.fc6": "roi_heads.box_head.fc1",
    "roi_heads.box_head.fc7": "roi_heads.box_head.fc2",
    _CLASS_SCORES: _CLASS_SCORES,
    _BOX_DELTAS: _BOX_DELTAS,
    **{  # torchvision counts the ReLUs in between
        f"roi_heads.keypoint_head.{2 * i}": f"roi_heads.keypoint_head.conv_fcn{i + 1}"
        for i in range(8)
    },
    "roi_heads.keypoint_predictor.kps_score_lowres": "roi_heads.keypoint_head.score_lowres",
}

# {torchvision: Detectron2} of every tensor.
_NAMES = {
    f"{theirs}.{kind}": f"{ours}.{kind}"
    for layers, kinds in (
        (_CONVOLUTIONS, ("weight",)),
        (_NORMS, ("weight", "bias", "running_mean", "running_var")),
        (_LAYERS, ("weight", "bias")),
    )
    for theirs, ours in layers.items()
    for kind in kinds
}

# The published files are older than torchvision 0.12, which put these layers into blocks; see
# _load_from_state_dict in ops/feature_pyramid_network.py and models/detection/rpn.py.
_OLD_NAMES = {
    f"{old}.{kind}": f"{new}.{kind}"
    for new, old in {
        **{name: name.removesuffix(".0") for name in _LAYERS if "_blocks." in name},
        "rpn.head.conv.0.0": "rpn.head.conv",
    }.items()
    for kind in ("weight", "bias")
}
