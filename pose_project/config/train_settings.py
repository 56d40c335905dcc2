"""The keys of ``train``: how a run is organised. Iterations count batches, epochs count photos."""

from dataclasses import dataclass, field
from typing import Literal

import torch

from pose_project.config.settings import setting
from pose_project.evaluation.tables import METRICS
from pose_project.modeling.acceleration import InferenceSettings

_METRICS = [f"{task}/{metric.key}" for task, metrics in METRICS.items() for metric in metrics]
_METRICS += [f"ema/{name}" for name in _METRICS]


def _is_device(name: str) -> bool:
    try:
        torch.device(name)
    except RuntimeError:
        return False
    return True


@dataclass
class AmpSettings:
    """Automatic mixed precision in training."""

    enabled: bool = setting(False, "Train with mixed precision.")
    dtype: Literal["bf16", "fp16"] = setting("bf16", "bf16 runs on a GPU or CPU, fp16 on a GPU.")


@dataclass
class CheckpointerSettings:
    """Numbered checkpoints."""

    period: int = setting(5000, "Iterations between checkpoints; 0: only at the end.", low=0)
    max_to_keep: int = setting(5, "So many numbered checkpoints stay, the newest.", low=1)
    for_use: bool = setting(
        False,
        "At the end also write `model_use.pth`: the weights alone, without what only training "
        "needs, such as masks that only teach.",
    )


@dataclass
class TrainSettings:
    """All of ``train``; ``configs/common/train.py`` has them as a config."""

    output_dir: str = setting(
        "./output",
        "Where everything of a run goes. A new run needs an empty folder; `--resume` continues "
        "one.",
    )
    init_checkpoint: str = setting(
        "",
        "Weights to start from: a file or an address that Detectron2 fetches; empty: random ones.",
    )
    epochs: float | None = setting(
        None,
        "Length of training. An override of `epochs` alone clears a `max_iter` of the config.",
        low=0,
    )
    max_iter: int | None = setting(None, "Length in iterations; counts where both are set.", low=1)
    amp: AmpSettings = field(default_factory=AmpSettings)
    clip_grad_norm: float = setting(
        0.0, "Clip the norm of all gradients together to this; 0: do not.", low=0
    )
    accumulate: int = setting(
        1, "Compute each batch in so many pieces, one after the other, to save memory.", low=1
    )
    max_skipped_steps: int = setting(
        0,
        "Updates that may be left out because a loss or gradient is not finite before training "
        "stops.",
        low=0,
    )
    reference_batch_size: int | None = setting(
        None,
        "Multiply the learning rate by total_batch_size / this (the linear scaling rule); null: do "
        "not.",
        low=1,
    )
    ema_decay: float = setting(
        0.0,
        "Average the weights with this decay, such as 0.999, and evaluate the average too; 0: do "
        "not.",
        low=0,
        below=1,
    )
    channels_last: bool = setting(
        False,
        "Train with the memory layout that CPUs and tensor cores prefer; same results.",
    )
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    checkpointer: CheckpointerSettings = field(default_factory=CheckpointerSettings)
    checkpoint_epochs: float | None = setting(
        None, "Epochs between checkpoints, instead of `checkpointer.period`.", low=0
    )
    eval_period: int = setting(
        5000, "Iterations between evaluations; 0: only one, at the end.", low=0
    )
    eval_epochs: float | None = setting(
        None, "Epochs between evaluations, instead of `eval_period`.", low=0
    )
    validation_loss: bool = setting(
        False, "With every evaluation also compute the losses on its photos."
    )
    patience: int = setting(
        0, "Stop after so many evaluations without a new best; 0: never.", low=0
    )
    best_metric: str = setting(
        "keypoints/AP",
        "The metric whose highest value decides what `model_best.pth` is; `ema/` before it means "
        "that of the averaged weights.",
        choices=_METRICS,
        expected="a metric of COCO's evaluation such as keypoints/AP, keypoints/AR or bbox/AP50",
    )
    stall_timeout: float = setting(
        300,
        "In several processes: end with the name of the one that hangs once none has moved for so "
        "many seconds; 0: wait for ever.",
        low=0,
    )
    log_period: int = setting(
        20, "Iterations between log lines and between rows of `metrics.json`.", low=1
    )
    visualizations: int = setting(
        12, "So many photos are drawn at the end, ground truth beside predictions.", low=0
    )
    report: bool = setting(
        False,
        "After the last evaluation also explain its errors in `report/report.html`; needs plotly.",
    )
    device: str = setting(
        "cuda",
        "Falls back to `cpu`, saying so, where there is no GPU; `mps` is Apple's.",
        accepts=_is_device,
        expected="a device of PyTorch such as cuda, cuda:1 or cpu",
    )
    seed: int = setting(
        0, "Of weights, order of the data, augmentation and sampling.", low=0, high=2**32 - 1
    )
    ddp: dict = setting(
        {"broadcast_buffers": False, "find_unused_parameters": False},
        "Arguments of PyTorch's DistributedDataParallel.",
    )
