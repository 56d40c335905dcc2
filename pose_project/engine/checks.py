"""What can be known to be wrong before a run, found before anything is written."""

import math
from numbers import Integral, Real
from typing import Any

import torch
from detectron2.data import MetadataCatalog
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn

from pose_project.config.loading import build
from pose_project.data import get_schema
from pose_project.evaluation.tables import METRICS
from pose_project.utils.errors import InputError

# key: (type, smallest, largest, may be None)
_NUMBERS: dict[str, tuple[type, float, float, bool]] = {
    "epochs": (Real, 0, math.inf, True),
    "max_iter": (Integral, 1, math.inf, True),
    "clip_grad_norm": (Real, 0, math.inf, False),
    "accumulate": (Integral, 1, math.inf, False),
    "max_skipped_steps": (Integral, 0, math.inf, False),
    "reference_batch_size": (Integral, 1, math.inf, True),
    "ema_decay": (Real, 0, 1 - 1e-9, False),
    "checkpointer.period": (Integral, 0, math.inf, False),
    "checkpointer.max_to_keep": (Integral, 1, math.inf, False),
    "checkpoint_epochs": (Real, 0, math.inf, True),
    "eval_period": (Integral, 0, math.inf, False),
    "eval_epochs": (Real, 0, math.inf, True),
    "patience": (Integral, 0, math.inf, False),
    "stall_timeout": (Real, 0, math.inf, False),
    "log_period": (Integral, 1, math.inf, False),
    "visualizations": (Integral, 0, math.inf, False),
    "inference.answers.temperature": (Real, 1e-3, 1e3, True),
    "inference.answers.oks_nms": (Real, 0, 1 - 1e-9, False),
    "seed": (Integral, 0, 2**32 - 1, False),
}
_SWITCHES = (
    "amp.enabled",
    "channels_last",
    "validation_loss",
    "report",
    "inference.fold_batchnorm",
    "inference.channels_last",
    "inference.compile_backbone",
    "inference.compile_heads",
    "inference.cuda_graphs",
    "inference.answers.flip",
    "inference.answers.subpixel",
    "inference.answers.rescore",
)


def check_train_settings(train: DictConfig) -> None:
    """Raise ``InputError`` for the first key of ``train`` that has a wrong type or range."""
    for key, (kind, smallest, largest, may_be_none) in _NUMBERS.items():
        value = OmegaConf.select(train, key)
        if value is None and may_be_none:
            continue
        right_type = isinstance(value, kind) and not isinstance(value, bool)
        if not right_type or not smallest <= value <= largest:
            what = "a whole number" if kind is Integral else "a number"
            limit = f"from {smallest:g}" + ("" if largest == math.inf else f" to {largest:.6g}")
            raise InputError(f"train.{key} must be {what} {limit}, got {value!r}")
    for key in _SWITCHES:
        value = OmegaConf.select(train, key)
        if not isinstance(value, bool):
            raise InputError(f"train.{key} must be True or False, got {value!r}")
    scales = OmegaConf.select(train, "inference.answers.scales")
    is_list = isinstance(scales, (list, tuple, ListConfig))
    if not is_list or not all(type(each) in (int, float) and 0.1 <= each <= 10 for each in scales):
        raise InputError(
            f"train.inference.answers.scales must be a list of factors from 0.1 to 10, got {scales}"
        )
    if train.epochs is None and train.max_iter is None:
        raise InputError("how long to train? Set train.epochs or train.max_iter")
    _check_best_metric(train.best_metric)
    try:
        torch.device(train.device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"train.device={train.device!r} is no device: {error}") from error


def check_fit(model: nn.Module, dataset_names: str | list[str]) -> None:
    """Raise ``InputError`` if model and datasets differ in their keypoints or classes."""
    heads = getattr(model, "roi_heads", None)
    head = getattr(heads, "keypoint_head", None)
    schema = get_schema(dataset_names)
    if head is not None and head.num_keypoints != schema.num_keypoints:
        raise InputError(
            f"the head predicts {head.num_keypoints} keypoints, {dataset_names} has "
            f"{schema.num_keypoints}, and there are {len(schema.oks_sigmas)} OKS sigmas; set "
            f"model.roi_heads.keypoint_head.num_keypoints={schema.num_keypoints}"
        )
    first = dataset_names if isinstance(dataset_names, str) else dataset_names[0]
    classes = MetadataCatalog.get(first).get("thing_classes")
    if heads is not None and classes is not None and heads.num_classes != len(classes):
        raise InputError(
            f"the model has {heads.num_classes} classes, {dataset_names} has {len(classes)} "
            f"({', '.join(classes[:5])}); set model.roi_heads.num_classes={len(classes)}"
        )


def check_proposals(cfg: DictConfig, model: nn.Module, loader: str) -> None:
    """Raise ``InputError`` if a model without an RPN is fed photos without proposals.

    Args:
        cfg: the whole config.
        model: its model.
        loader: ``train`` or ``test``.
    """
    mapper = build(cfg, f"dataloader.{loader}.mapper")
    makes_none = getattr(model, "proposal_generator", model) is None
    if makes_none and getattr(mapper, "proposal_topk", 0) is None:
        raise InputError(
            f"the model has no proposal_generator and dataloader.{loader} brings no proposals; "
            f"set dataloader.{loader}.dataset.proposal_files and "
            f"dataloader.{loader}.mapper.proposal_topk, as configs/fast_keypoint_rcnn_R50_FPN.py"
        )


def check_evaluation(cfg: DictConfig, model: nn.Module) -> tuple[Any, Any]:
    """Return ``dataloader.test`` and ``dataloader.evaluator``, once they fit the model.

    Raises:
        InputError: now for what would otherwise fail after hours, at the evaluation.
    """
    check_proposals(cfg, model, "test")
    loader, evaluator = build(cfg, "dataloader.test"), build(cfg, "dataloader.evaluator")
    check_fit(model, cfg.dataloader.test.dataset.names)
    return loader, evaluator


def _check_best_metric(name: str) -> None:
    known = [f"{task}/{metric.key}" for task, metrics in METRICS.items() for metric in metrics]
    if str(name).removeprefix("ema/") not in known:
        raise InputError(f"train.best_metric={name!r} is none of {', '.join(known)}")
