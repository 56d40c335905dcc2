"""What each way to run a trained model costs in AP, against Detectron2's own head and loop."""

import copy
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from omegaconf import DictConfig
from torch import nn

from benchmarks.compare import Comparison, Difference, Seconds
from pose_project.checkpoint import PoseCheckpointer
from pose_project.evaluation import PoseEvaluator
from pose_project.modeling.acceleration import FastInference, InferenceSettings

_EXACT, _LOW_PRECISION = 0.1, 0.5  # AP that may be lost or won
_CASES: tuple[tuple[str, dict[str, Any], int | None, float], ...] = (
    ("no switch", {"fold_batchnorm": False, "channels_last": False}, None, _EXACT),
    ("default", {}, None, _EXACT),
    ("default, topk_per_image=20", {}, 20, _EXACT),
    ("dtype=bf16", {"dtype": "bf16"}, None, _LOW_PRECISION),
)
_ON_A_GPU = (
    ("dtype=fp16", {"dtype": "fp16"}, None, _LOW_PRECISION),
    ("compile_backbone", {"compile_backbone": True}, None, _EXACT),
)


def measure_accuracy(cfg: DictConfig, device: torch.device) -> Iterator[Comparison]:
    """Yield one comparison for each way to run the model, on all photos of the test dataset.

    Args:
        cfg: a training config with ``train.init_checkpoint``; its model must end in a keypoint head
            with heatmaps of 56x56, as Detectron2's does.
        device: where both run.
    """
    stock, ours = (load_model(each, device) for each in (_with_stock_head(cfg), cfg))
    photos = [photo for batch in instantiate(cfg.dataloader.test) for photo in batch]
    name = cfg.dataloader.test.dataset.names
    expected, their_time = _evaluate(stock, photos, name)
    for case, switches, topk, bound in _CASES + (_ON_A_GPU if device.type == "cuda" else ()):
        fast = FastInference(ours, InferenceSettings(**switches))
        fast.model.roi_heads.keypoint_head.topk_per_image = topk
        found, our_time = _evaluate(fast, photos, name)
        yield Comparison(
            case,
            "detectron2's head, float32",
            {"photos": len(photos), **{f"{t} AP": round(ap, 2) for t, ap in found.items()}},
            Seconds(our_time, our_time, our_time, 1),
            Seconds(their_time, their_time, their_time, 1),
            their_time / our_time,
            (their_time / our_time, their_time / our_time),
            None,
            None,
            [Difference(f"{t} AP", abs(found[t] - ap), bound) for t, ap in expected.items()],
        )


def _with_stock_head(cfg: DictConfig) -> DictConfig:
    stock = copy.deepcopy(cfg)
    node = stock.model.roi_heads.keypoint_head
    node._target_ = KRCNNConvDeconvUpsampleHead
    node.pop("up_scale", None)
    return stock


def load_model(cfg: DictConfig, device: torch.device) -> nn.Module:
    """Return a config's model with its ``train.init_checkpoint``, in evaluation mode."""
    model = instantiate(cfg.model).to(device).eval()
    PoseCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[], complete=True)
    return model


@torch.no_grad()
def _evaluate(
    model: nn.Module, photos: Iterable[dict[str, Any]], dataset_name: str
) -> tuple[dict[str, float], float]:
    """Return the AP of each task in percent, and the seconds of all forward passes."""
    evaluator = PoseEvaluator(dataset_name)
    evaluator.reset()
    seconds = 0.0
    for photo in photos:
        start = time.perf_counter()
        output = model([photo])
        output = [{"instances": each["instances"].to("cpu")} for each in output]  # waits
        seconds += time.perf_counter() - start
        evaluator.process([photo], output)
    return {task: each["AP"] for task, each in evaluator.evaluate().items()}, seconds
