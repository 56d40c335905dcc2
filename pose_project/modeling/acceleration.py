"""The same model, faster: what only inference may do to a trained network."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from detectron2.modeling.proposal_generator.rpn import StandardRPNHead
from detectron2.modeling.roi_heads import FastRCNNConvFCHead, FastRCNNOutputLayers
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pose_project.config.settings import read_settings, setting
from pose_project.modeling.keypoint_predictions import KeypointPredictions
from pose_project.modeling.precision import named_dtype
from pose_project.modeling.test_time import TestTimeModel, TestTimeSettings
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra


@dataclass
class InferenceSettings:
    """``train.inference``: how evaluation and the other tools run the trained model."""

    fold_batchnorm: bool = setting(
        True, "Multiply BatchNorm into the convolutions before it; same results but for rounding."
    )
    channels_last: bool = setting(
        True,
        "The memory layout that CPUs and tensor cores prefer and, on a CPU, another way to pool "
        "features; same results.",
    )
    dtype: Literal["fp32", "bf16", "fp16"] = setting(
        "fp32",
        "Of convolutions and fully connected layers; bf16, and fp16 on a GPU, move points by "
        "fractions of a pixel.",
    )
    compile_backbone: bool = setting(
        False,
        "Compile the backbone with `torch.compile`, once for all sizes of photos; takes a minute.",
    )
    compile_heads: bool = setting(False, "Likewise the heads of proposals, boxes and keypoints.")
    cuda_graphs: bool = setting(
        True,
        "On a GPU, start all kernels of a photo at once where its padded size has come before.",
    )
    test_time: TestTimeSettings = field(default_factory=TestTimeSettings)


def inference_model(
    model: nn.Module,
    settings: Mapping[str, Any] | DictConfig,
    schema: KeypointSchema | None,
) -> "FastInference":
    """Return a model as ``train.inference`` describes it.

    Args:
        model: with its weights; not changed.
        settings: keys of :class:`InferenceSettings`.
        schema: of the model's keypoints; None if it has none.

    Raises:
        InputError: if a setting is wrong, or ``test_time`` is set for a model without keypoints.
    """
    settings = read_settings(InferenceSettings, settings, "train.inference")
    if any(vars(settings.test_time).values()):
        if schema is None:
            raise InputError("train.inference.test_time is for models with keypoints")
        model = TestTimeModel(model, schema, settings.test_time)
    return FastInference(model, settings)


class FastInference(nn.Module):
    """A frozen copy of a model, with the same inputs and outputs.

    The last layers, of boxes, scores and heatmaps, stay in float32 whatever ``dtype`` says: with
    eight bits scores tie and the highest cell moves. On a GPU people and points are returned on the
    host, where the extra ``gpu_inference`` puts those of Detectron2's standard parts in one copy.

    Args:
        model: a Detectron2 model, such as ``GeneralizedRCNN``; it is not changed.
        settings: all but ``test_time`` are read; the defaults if None.

    Raises:
        InputError: if fp16 is asked for on a CPU.
    """

    def __init__(self, model: nn.Module, settings: InferenceSettings | None = None) -> None:
        super().__init__()
        settings = settings or InferenceSettings()
        self.device_type = next(model.parameters()).device.type
        self.dtype = inference_dtype(settings.dtype, self.device_type)
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if settings.fold_batchnorm:
            fold_batchnorms(self.model)
        if settings.channels_last:
            to_channels_last(self.model)
        if self.dtype != torch.float32:
            _keep_outputs_in_float32(self.model)
            _store_weights_as(self.model, self.dtype)
        if settings.compile_backbone:
            self.model.backbone.compile(dynamic=True)
        if settings.compile_heads:
            _compile_heads(self.model)
        if self.device_type != "cpu" and (gpu := find_extra("gpu_inference.rcnn")):
            with_graphs = settings.cuda_graphs and self.device_type == "cuda"
            self.model = gpu.in_fixed_shapes(self.model, with_graphs)

    @torch.no_grad()
    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the model returns for a batch of photos."""
        lower = self.dtype != torch.float32
        autocast = torch.autocast(self.device_type, self.dtype if lower else None, enabled=lower)
        with autocast, _cudnn_autotune_off():
            return self.model(batched_inputs)


@contextmanager
def _cudnn_autotune_off() -> Iterator[None]:
    # Nearly every photo has another shape; autotuning each costs more than it gains.
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def to_channels_last(model: nn.Module) -> None:
    """Let a model on its device compute with channels last in memory, in place; it still trains."""
    model.to(memory_format=torch.channels_last)
    is_on_cpu = next(model.parameters()).device.type == "cpu"
    # on a GPU torchvision's kernel is fast, and takes the other layout
    if is_on_cpu and (cpu := find_extra("cpu_inference.pooling")):
        cpu.use_channels_last_pooling(model)


class _InFloat32(nn.Module):
    """A layer that is computed in float32, also under autocast."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.layer(x.float())


def _keep_outputs_in_float32(model: nn.Module) -> None:
    for part in list(model.modules()):
        for name in _last_layers(part):
            setattr(part, name, _InFloat32(getattr(part, name)))


def _last_layers(part: nn.Module) -> tuple[str, ...]:
    """Return the names of a part's layers that give results; ours say them themselves."""
    if isinstance(part, FastRCNNOutputLayers):
        return ("cls_score", "bbox_pred")
    if isinstance(part, KRCNNConvDeconvUpsampleHead):
        return ("score_lowres",)
    return getattr(part, "last_layers", ())


def _store_weights_as(model: nn.Module, dtype: torch.dtype) -> None:
    """Convert once what autocast would convert for every photo."""
    in_float32 = {id(each.layer) for each in model.modules() if isinstance(each, _InFloat32)}
    for layer in model.modules():
        is_cast = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
        if is_cast and id(layer) not in in_float32:
            for parameter in layer.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)


def _compile_heads(model: nn.Module) -> None:
    for part in list(model.modules()):
        if isinstance(part, (KRCNNConvDeconvUpsampleHead, KeypointPredictions)):
            part.layers = torch.compile(part.layers, dynamic=True)
        elif isinstance(part, (StandardRPNHead, FastRCNNConvFCHead)):
            part.compile(dynamic=True)


def inference_dtype(name: str, device: str) -> torch.dtype:
    """Return the type of numbers that ``train.inference.dtype`` names.

    Raises:
        InputError: if it is not for this device.
    """
    return named_dtype("train.inference.dtype", name, device)


def fold_batchnorms(model: nn.Module) -> None:
    """Multiply each normalisation with fixed statistics into the convolution before it, in place.

    Only Detectron2's ``Conv2d``, which knows its own normalisation, is folded; statistics that
    depend on the input (GroupNorm) stay. The products are made in float64, so that the outputs
    differ by float32 rounding alone.

    Args:
        model: in evaluation mode.
    """
    for convolution in (each for each in model.modules() if isinstance(each, Conv2d)):
        norm = convolution.norm
        if not isinstance(norm, (FrozenBatchNorm2d, nn.BatchNorm2d)):
            continue
        bias = convolution.bias
        weight, bias = fuse_conv_bn_weights(
            _in_float64(convolution.weight),
            None if bias is None else _in_float64(bias),
            _in_float64(norm.running_mean),
            _in_float64(norm.running_var),
            norm.eps,
            _in_float64(norm.weight),
            _in_float64(norm.bias),
        )
        convolution.weight = _like(convolution.weight, weight)
        convolution.bias = _like(convolution.weight, bias)
        convolution.norm = None


def _in_float64(values: Tensor) -> Tensor:
    return values.cpu().double()  # Apple's MPS has none


def _like(parameter: nn.Parameter, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.to(parameter), requires_grad=parameter.requires_grad)
