"""A trained model from its config and weights, without the dataset it was trained on."""

import copy
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from pose_project.checkpoint import PoseCheckpointer
from pose_project.modeling.build import build_model, resolve_device
from pose_project.structures import KeypointSchema, schema_of_categories
from pose_project.utils.errors import InputError


def schema_of(categories: list[dict[str, Any]], weights: str) -> KeypointSchema:
    """Return the schema of all keypoints that a model predicts.

    Args:
        categories: of ``load_categories``.
        weights: they belong to, for the message.

    Raises:
        InputError: if they do not describe keypoints.
    """
    try:
        return schema_of_categories(categories)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the categories of {weights} are wrong: {error!r}") from error


def load_model(
    cfg: DictConfig, weights: str, categories: list[dict[str, Any]]
) -> tuple[nn.Module, KeypointSchema]:
    """Return a model on its device, in evaluation mode, and the schema of its keypoints.

    Args:
        cfg: LazyConfig; ``train.device`` falls back to the CPU.
        weights: a file or an address that Detectron2 can fetch.
        categories: of ``load_categories``.

    Raises:
        InputError: if a setting is wrong, the weights are missing or do not fit, or the model
            predicts no keypoints or needs proposals from outside.
    """
    schema = schema_of(categories, weights)
    cfg = copy.deepcopy(cfg)
    cfg.train.device = resolve_device(cfg.train.device)
    heads = cfg.model.get("roi_heads", {})
    if heads.get("keypoint_head") is None:
        raise InputError("this config's model has no keypoint_head: it predicts no keypoints")
    if cfg.model.get("proposal_generator") is None:
        raise InputError("this config's model has no proposal_generator: it takes boxes as input")
    if OmegaConf.is_dict(heads.num_classes):  # configs that count them in the annotations
        heads.num_classes = len(categories)
    if OmegaConf.is_dict(heads.keypoint_head.num_keypoints):
        heads.keypoint_head.num_keypoints = schema.num_keypoints
    model = build_model(cfg).eval()
    if model.roi_heads.keypoint_head.num_keypoints != schema.num_keypoints:
        raise InputError(
            f"the model predicts {model.roi_heads.keypoint_head.num_keypoints} keypoints, "
            f"{schema.num_keypoints} are named by {categories[0]['name']!r}"
        )
    PoseCheckpointer(model).load(weights, checkpointables=[], complete=True)
    return model, schema
