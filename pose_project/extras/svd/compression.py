"""A compressed model is an ordinary one: a config that names its box head, and weights that fit."""

import copy
from collections.abc import Sequence

from detectron2.modeling.roi_heads import FastRCNNConvFCHead
from omegaconf import DictConfig
from torch import nn

from pose_project.config.building import build
from pose_project.extras.svd.low_rank import LinearSVD, LowRankBoxHead, truncated_state_dict
from pose_project.utils.errors import InputError


def full_box_head(model: nn.Module) -> FastRCNNConvFCHead:
    """Return the box head of a model, which has fully connected layers that are not split yet.

    Raises:
        InputError: if the model has no such box head.
    """
    box_head = getattr(getattr(model, "roi_heads", None), "box_head", None)
    if isinstance(box_head, LowRankBoxHead):
        raise InputError("this model's box head is split already; compress the original model")
    if type(box_head) is not FastRCNNConvFCHead or not box_head.fcs:
        raise InputError(
            "only a FastRCNNConvFCHead with fully connected layers can be split; this model's box "
            f"head is a {type(box_head).__name__}"
        )
    return box_head


def low_rank_config(cfg: DictConfig, ranks: Sequence[int]) -> DictConfig:
    """Return a copy of a config whose box head is a ``LowRankBoxHead`` of these ranks."""
    low_rank = copy.deepcopy(cfg)
    node = low_rank.model.roi_heads.box_head
    node._target_ = f"{LowRankBoxHead.__module__}.{LowRankBoxHead.__qualname__}"
    node.ranks = list(ranks)
    return low_rank


def build_low_rank_head(
    cfg: DictConfig, box_head: FastRCNNConvFCHead, decomposed: Sequence[LinearSVD]
) -> LowRankBoxHead:
    """Return the box head that a config of ``low_rank_config`` describes, with its weights.

    Args:
        cfg: the whole config; its ranks are taken.
        box_head: the one that was decomposed.
        decomposed: one for each of ``box_head.fcs``.

    Raises:
        InputError: if a rank is out of range.
    """
    low_rank: LowRankBoxHead = build(cfg, "model.roi_heads.box_head")
    ranks = cfg.model.roi_heads.box_head.ranks
    low_rank.load_state_dict(truncated_state_dict(box_head, decomposed, ranks))
    low_rank.train(box_head.training)
    return low_rank.to(next(box_head.parameters()).device)
