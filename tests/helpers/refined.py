"""Configs and models with the switches of configs/common/refined.py."""

from detectron2.config import instantiate
from omegaconf import DictConfig
from torch import nn

from configs.common import refined
from pose_project.engine import load_config

HEADS = {
    "regions, OKS loss and score": (
        refined.enlarge_regions,
        refined.add_oks_loss,
        refined.learn_score,
    ),
    "global context": (
        refined.enlarge_regions,
        refined.add_global_context,
        refined.learn_score,
    ),
    "likelihood": (
        refined.enlarge_regions,
        refined.regress_by_likelihood,
        refined.learn_score,
    ),
    "P2 alone": (refined.pool_from_p2,),
}
"""Switches by a name, applied in order; each takes a model's config."""


def apply(cfg: DictConfig, name: str) -> DictConfig:
    """Return the config with the switches of one of :data:`HEADS`."""
    for change in HEADS[name]:
        change(cfg.model)
    return cfg


def make_refined(name: str, config: str, *overrides: str) -> nn.Module:
    """Return a model of random weights."""
    return instantiate(apply(load_config(config, list(overrides)), name).model)
