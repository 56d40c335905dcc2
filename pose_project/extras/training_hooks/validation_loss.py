"""The losses on the evaluation's images: does the model still generalise?"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from detectron2.config import instantiate
from detectron2.engine import HookBase
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from omegaconf import DictConfig
from torch import nn

from pose_project.data import get_categories
from pose_project.data.loader import seeded
from pose_project.engine.hooks.saving import is_due
from pose_project.utils.errors import InputError

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def check_same_classes(categories: list[dict[str, Any]], dataset_name: str) -> None:
    """Raise ``InputError`` unless a dataset numbers its classes as the model does.

    An evaluation matches them by name; losses are computed by number.
    """
    trained, labelled = (
        [str(each["name"]) for each in given]
        for given in (categories, get_categories(dataset_name))
    )
    if len(trained) > 1 and trained != labelled:
        raise InputError(
            f"train.validation_loss needs the categories of training, in their order: "
            f"{', '.join(trained)}; {dataset_name} has {', '.join(labelled)}"
        )


class ValidationLoss(HookBase):
    """Record ``validation/loss_*`` and their sum every ``period`` iterations and after the last.

    Args:
        model: the trained model, not wrapped; its weights and statistics are not changed.
        cfg: the whole config: images are those of ``dataloader.test``, and proposals are sampled by
            ``train.seed``, the same at every evaluation.
        period: in iterations; 0 only after the last.
    """

    def __init__(self, model: nn.Module, cfg: DictConfig, period: int) -> None:
        self.model = model
        self.cfg = cfg
        self.period = period

    def after_step(self) -> None:
        """Measure if it is time to."""
        if is_due(self.trainer.iter + 1, self.period, self.trainer.max_iter):
            loader = _labelled_test_loader(self.cfg)
            losses = validation_losses(self.model, loader, self.cfg.train.seed)
            named = {f"validation/{name}": value for name, value in losses.items()}
            self.trainer.storage.put_scalars(**named, smoothing_hint=False)


def validation_losses(
    model: nn.Module, batches: Iterable[list[dict[str, Any]]], seed: int
) -> dict[str, float]:
    """Return the mean of each loss over the batches of all processes, and ``total_loss``.

    Args:
        model: returns a dict of losses in training mode; left as it was.
        batches: this process's labelled images.
        seed: of the sampling of proposals.
    """
    was_training = model.training
    model.train()  # Detectron2's models return losses in this mode only
    for module in model.modules():
        if isinstance(module, _BATCH_NORMS):
            module.eval()  # neither uses nor changes the statistics by these images
    sums: dict[str, torch.Tensor] = {}
    count = 0
    # a storage of its own: the heads record numbers that belong to training
    with torch.no_grad(), EventStorage():
        for batch in batches:
            with seeded(seed, comm.get_rank(), count):
                losses = model(batch)
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.float()
            count += 1
    model.train(was_training)
    totals = torch.stack([*sums.values(), torch.full_like(next(iter(sums.values())), count)])
    if comm.get_world_size() > 1:
        dist.all_reduce(totals)
    means = (totals[:-1] / totals[-1]).tolist()
    return {**dict(zip(sums, means, strict=True)), "total_loss": sum(means)}


def _labelled_test_loader(cfg: DictConfig) -> Iterable[list[dict[str, Any]]]:
    node = copy.deepcopy(cfg.dataloader)
    node.test.mapper.is_train = True
    return instantiate(node.test)
