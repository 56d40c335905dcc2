"""From a config to its model on a device."""

import logging

import torch
from omegaconf import DictConfig
from torch import nn

from pose_project.config.building import build
from pose_project.modeling.acceleration import to_channels_last

logger = logging.getLogger(__name__)


def build_model(cfg: DictConfig) -> nn.Module:
    """Return ``cfg.model`` on ``cfg.train.device``, with its initial weights.

    Args:
        cfg: LazyConfig; ``model``, ``train.device`` and ``train.channels_last`` are read.

    Raises:
        InputError: if the config does not describe a model.
    """
    model = build(cfg, "model").to(cfg.train.device)
    if cfg.train.channels_last:
        to_channels_last(model)
    return model


def resolve_device(device: str) -> str:
    """Return ``device``, or ``"cpu"`` with one line saying so where there is no such GPU.

    Apple's (``mps``) is used where it is asked for, and never in place of another.
    """
    is_there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    kind = device.partition(":")[0]
    if kind in is_there and not is_there[kind]():
        logger.info("No %s device here: running on the CPU.", kind.upper())
        return "cpu"
    return device
