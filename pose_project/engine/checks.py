"""Whether a model and the data fit each other, found before anything is written."""

from collections.abc import Sequence
from typing import Any

from detectron2.data import MetadataCatalog
from omegaconf import DictConfig
from torch import nn

from pose_project.config.building import build
from pose_project.data import get_schema
from pose_project.evaluation import PoseEvaluator
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError


def check_fit(model: nn.Module, dataset_names: str | list[str]) -> None:
    """Raise ``InputError`` if a model and what it is trained on differ in keypoints or classes."""
    first = dataset_names if isinstance(dataset_names, str) else dataset_names[0]
    schema, classes = get_schema(dataset_names), MetadataCatalog.get(first).get("thing_classes")
    _check_heads(model, str(dataset_names), schema, classes)


def check_proposals(cfg: DictConfig, model: nn.Module, loader: str) -> None:
    """Raise ``InputError`` if a model without an RPN is given images without proposals.

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


def check_evaluation(
    cfg: DictConfig, model: nn.Module, categories: list[dict[str, Any]]
) -> tuple[Any, Any]:
    """Return ``dataloader.test`` and ``dataloader.evaluator``, once they fit the model.

    Args:
        cfg: the whole config.
        model: its model.
        categories: what it predicts, see ``load_categories``; of the dataset for evaluation they
            are matched by name, see ``PoseEvaluator.match_categories``.

    Raises:
        InputError: now for what would otherwise fail after hours, at the evaluation.
    """
    check_proposals(cfg, model, "test")
    loader, evaluator = build(cfg, "dataloader.test"), build(cfg, "dataloader.evaluator")
    if isinstance(evaluator, PoseEvaluator):
        evaluator.match_categories(categories)
        names = [str(each["name"]) for each in categories]
        _check_heads(model, evaluator.dataset_name, evaluator.model_schema, names)
    else:
        check_fit(model, cfg.dataloader.test.dataset.names)
    return loader, evaluator


def _check_heads(
    model: nn.Module,
    dataset_name: str,
    schema: KeypointSchema | None,
    classes: Sequence[str] | None,
) -> None:
    """Compare what a model predicts with a dataset's keypoints and classes; None is not checked."""
    heads = getattr(model, "roi_heads", None)
    head = getattr(heads, "keypoint_head", None)
    if head is not None and schema is not None and head.num_keypoints != schema.num_keypoints:
        raise InputError(
            f"the head predicts {head.num_keypoints} keypoints, {dataset_name} has "
            f"{schema.num_keypoints}, and there are {len(schema.oks_sigmas)} OKS sigmas; set "
            f"model.roi_heads.keypoint_head.num_keypoints={schema.num_keypoints}"
        )
    if heads is not None and classes is not None and heads.num_classes != len(classes):
        raise InputError(
            f"the model has {heads.num_classes} classes, {dataset_name} has {len(classes)} "
            f"({', '.join(classes[:5])}); set model.roi_heads.num_classes={len(classes)}"
        )
