"""Which hooks a run has, and in which order they act on an iteration."""

import copy
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectron2.config import instantiate
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm
from omegaconf import DictConfig

from pose_project.engine.hooks import (
    Checkpoints,
    EarlyStopping,
    Evaluation,
    MetricsWriter,
    Progress,
    StallWatch,
    StopOnSignal,
    ValidationLoss,
    WeightAverage,
)
from pose_project.engine.launch import synchronise_buffers

if TYPE_CHECKING:
    from pose_project.engine.trainer import PoseTrainer


def default_hooks(trainer: "PoseTrainer") -> list[HookBase]:
    """Return the hooks of a run.

    What measures comes first, then what writes, then the checkpoint, so that it holds everything
    about its iteration; what may end the run comes last.

    Args:
        trainer: with model, loader and checkpointer; ``train`` of its config is read.

    """
    train, loader, checkpointer = trainer.lazy_cfg.train, trainer.data_loader, trainer.checkpointer
    per_epoch = loader.iterations_per_epoch
    eval_period = evaluation_period(train, per_epoch)
    saving = train.checkpointer
    save_period = _period(saving.period, train.checkpoint_epochs, per_epoch)
    measuring: list[HookBase] = [hooks.IterationTimer(), hooks.LRScheduler()]
    average = None
    if train.ema_decay > 0:
        average = WeightAverage(checkpointer.model, train.ema_decay, train.output_dir)
        measuring.append(average)
    if comm.is_main_process():
        measuring.append(Progress(train.log_period, per_epoch, loader.total_batch_size))
    if train.validation_loss:
        measuring.append(
            ValidationLoss(
                checkpointer.model,
                lambda: _labelled_test_loader(trainer.lazy_cfg),
                eval_period,
                train.seed,
            )
        )

    def evaluate() -> dict[str, dict[str, float]]:
        synchronise_buffers(checkpointer.model)
        results = {}
        if average is not None:
            averaged = trainer.test(trainer.lazy_cfg, average.average.module)
            results = {f"ema/{task}": metrics for task, metrics in averaged.items()}
        trainer.last_results = trainer.test(trainer.lazy_cfg, trainer.model) | results
        return trainer.last_results

    evaluation = Evaluation(evaluate, eval_period, checkpointer, train.best_metric)
    writing: list[HookBase] = [evaluation]
    if comm.is_main_process():
        writing.append(MetricsWriter(Path(train.output_dir), train.log_period))
    writing.append(Checkpoints(checkpointer, save_period, saving.max_to_keep, trainer.describe))
    ending: list[HookBase] = [StopOnSignal(checkpointer), StallWatch(train.stall_timeout)]
    if train.patience > 0:
        ending.append(EarlyStopping(evaluation, checkpointer, train.patience))
    return measuring + writing + ending


def evaluation_period(train: DictConfig, iterations_per_epoch: int) -> int:
    """Return after how many iterations each evaluation comes; 0: only at the end."""
    return _period(train.eval_period, train.eval_epochs, iterations_per_epoch)


def _period(iterations: int, epochs: float | None, iterations_per_epoch: int) -> int:
    return iterations if epochs is None else math.ceil(epochs * iterations_per_epoch)


def _labelled_test_loader(cfg: DictConfig) -> Iterable[list[dict[str, Any]]]:
    node = copy.deepcopy(cfg.dataloader)
    node.test.mapper.is_train = True
    return instantiate(node.test)
