"""Which hooks a run has, and in which order they act on an iteration."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectron2.engine import HookBase, hooks
from detectron2.utils import comm
from omegaconf import DictConfig
from torch import nn

from pose_project.checkpoint import PoseCheckpointer
from pose_project.data.loader import TrainLoader
from pose_project.engine.hooks import (
    Checkpoints,
    Evaluation,
    MetricsWriter,
    Progress,
    StopOnSignal,
)
from pose_project.engine.hooks.saving import Results
from pose_project.utils.extras import find_extra, need_extra


def default_hooks(
    cfg: DictConfig,
    loader: TrainLoader,
    checkpointer: PoseCheckpointer,
    evaluate: Callable[[nn.Module | None], Results],
    describe: Callable[[], dict[str, Any]],
) -> list[HookBase]:
    """Return the hooks of a run.

    What measures comes first, then what writes, then the checkpoint, so that it holds everything
    about its iteration; what may end the run comes last.

    Args:
        cfg: LazyConfig; ``train`` is read.
        loader: for training.
        checkpointer: with the model.
        evaluate: returns the results of the trained model, and of its average if it is given one.
        describe: returns what goes into the JSON beside a checkpoint.
    """
    train, per_epoch = cfg.train, loader.iterations_per_epoch
    eval_period = evaluation_period(train, per_epoch)
    saving = train.checkpointer
    save_period = _period(saving.period, train.checkpoint_epochs, per_epoch)
    measuring: list[HookBase] = [hooks.IterationTimer(), hooks.LRScheduler()]
    average = None
    if train.ema_decay > 0:
        averaging = need_extra("training_hooks.averaging", "train.ema_decay needs")
        average = averaging.WeightAverage(checkpointer.model, train.ema_decay, train.output_dir)
        measuring.append(average)
    if comm.is_main_process():
        measuring.append(Progress(train.log_period, per_epoch, loader.total_batch_size))
    if train.validation_loss:
        losses = need_extra("training_hooks.validation_loss", "train.validation_loss needs")
        measuring.append(losses.ValidationLoss(checkpointer.model, cfg, eval_period))

    averaged = None if average is None else average.average.module
    evaluation = Evaluation(
        lambda: evaluate(averaged), eval_period, checkpointer, train.best_metric
    )
    writing: list[HookBase] = [evaluation]
    if comm.is_main_process():
        writing.append(MetricsWriter(Path(train.output_dir), train.log_period))
    writing.append(
        Checkpoints(checkpointer, save_period, saving.max_to_keep, saving.for_use, describe)
    )
    ending: list[HookBase] = [StopOnSignal(checkpointer)]
    if stall_watch := find_extra("stall_watch.hook"):
        ending.append(stall_watch.StallWatch(train.stall_timeout))
    if train.patience > 0:
        stopping = need_extra("training_hooks.early_stopping", "train.patience needs")
        ending.append(stopping.EarlyStopping(evaluation, checkpointer, train.patience))
    return measuring + writing + ending


def evaluation_period(train: DictConfig, iterations_per_epoch: int) -> int:
    """Return after how many iterations each evaluation comes; 0: only at the end."""
    return _period(train.eval_period, train.eval_epochs, iterations_per_epoch)


def _period(iterations: int, epochs: float | None, iterations_per_epoch: int) -> int:
    return iterations if epochs is None else math.ceil(epochs * iterations_per_epoch)
