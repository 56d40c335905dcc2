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
    """Return ``device``, or ``"cpu"`` with one line saying so where there is no GPU."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        logger.info("No CUDA device here: running on the CPU.")
        return "cpu"
    return device
