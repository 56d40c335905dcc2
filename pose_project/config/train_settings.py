"""Which values the keys of ``train`` may have."""

import math
from numbers import Integral, Real

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

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
    "inference.answers.flip",
    "inference.answers.subpixel",
    "inference.answers.rescore",
)


def check_types_and_ranges(train: DictConfig) -> None:
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
    try:
        torch.device(train.device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"train.device={train.device!r} is no device: {error}") from error
