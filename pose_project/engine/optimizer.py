"""The optimizer that a config describes, over the parameters of a model."""

import copy
import inspect
import logging

import torch
from detectron2.utils.registry import locate
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer

from pose_project.config.building import build

logger = logging.getLogger(__name__)


def build_optimizer(cfg: DictConfig, model: nn.Module) -> Optimizer:
    """Return ``cfg.optimizer`` over the parameters of ``model``.

    On a GPU its ``fused`` form where there is one and the config does not say: it takes one
    kernel, and leaves a bad update out without asking the host, see ``TrainStep``.

    Args:
        cfg: LazyConfig; ``train`` and the batch size of ``dataloader.train`` are read, too.
        model: on its device.
    """
    node = copy.deepcopy(cfg.optimizer)
    node.params.model = model
    target = node["_target_"]
    optimizer_class = locate(target) if isinstance(target, str) else target
    is_told = "fused" in node or "foreach" in node  # of which only one can be had
    has_fused = "fused" in inspect.signature(optimizer_class).parameters
    if torch.device(cfg.train.device).type == "cuda" and has_fused and not is_told:
        node.fused = True
    if cfg.train.reference_batch_size:
        # the linear scaling rule: Goyal et al., Accurate, Large Minibatch SGD, section 2.1
        node.lr *= cfg.dataloader.train.total_batch_size / cfg.train.reference_batch_size
        logger.info("Learning rate scaled by the batch size: %g", node.lr)
    whole = OmegaConf.create({"optimizer": node}, flags={"allow_objects": True})
    return build(whole, "optimizer")
