"""A training step of the R50-FPN model, from a loaded batch to new weights."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from detectron2.engine import AMPTrainer, SimpleTrainer
from detectron2.solver.build import get_default_optimizer_params
from detectron2.structures import Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage
from torch import nn

from benchmarks.compare import Comparison, Difference, compare
from benchmarks.models import (
    build,
    make_photos,
    our_config,
    random_weights,
    stock_config,
)
from pose_project.data.loader import seed_everything
from pose_project.engine.train_step import TrainStep
from pose_project.modeling.acceleration import to_channels_last

_SECONDS = 20.0  # of pairs of steps for each size
_PEOPLE = 4  # in every photo
_LR = 1e-5  # of SGD with momentum; so low that both sides stay where they began


@dataclass(frozen=True)
class Case:
    """How each side trains, and the sizes to do it at."""

    name: str
    channels_last: bool = True
    amp_dtype: str | None = None
    peer_amp: bool = False
    """Detectron2's ``AMPTrainer`` (float16) instead of ``SimpleTrainer``."""
    batches: tuple[int, ...] = (2,)
    sides: tuple[int, ...] = (256,)


_ON_A_CPU = (
    Case("float32, by batch", batches=(1, 2, 4)),
    Case("float32, by size of the photo", sides=(192, 256, 384)),
    Case("float32, channels_last off", channels_last=False),
    Case("bf16", amp_dtype="bf16"),
)
_ON_A_GPU = (
    Case("float32, by batch", batches=(2, 8), sides=(800,)),
    Case(
        "bf16 against AMP, by batch", amp_dtype="bf16", peer_amp=True, batches=(2, 8), sides=(800,)
    ),
    Case("fp16 against AMP", amp_dtype="fp16", peer_amp=True, batches=(8,), sides=(800,)),
)


def measure_training(
    peer: str, device: torch.device, seconds: float | None = None
) -> Iterator[Comparison]:
    """Yield one comparison for each way to train and each size.

    Losses may differ by 1e-2: where rounding takes a proposal over an IoU threshold, another one is
    sampled in its place. On a GPU, whose kernels round differently in each memory layout, the
    number of candidates changes and with it the whole sample; there they are told, not judged.

    Both sides have the same weights and photos, on the host at the start of a step as a loader
    leaves them, and the same random numbers.

    Args:
        peer: ``detectron2``.
        device: where both train.
        seconds: of pairs of steps for each; None: as many as the docs need.
    """
    assert peer == "detectron2"
    weights = random_weights(stock_config())
    for case in _ON_A_GPU if device.type == "cuda" else _ON_A_CPU:
        ours = build(our_config(), weights, device).train()
        if case.channels_last:
            to_channels_last(ours)
        theirs = build(stock_config(), weights, device).train()
        for batch_size, side in itertools.product(case.batches, case.sides):
            batch = make_batch(batch_size, side)
            our_step = TrainStep(
                ours,
                itertools.repeat(batch),
                make_optimizer(ours, fused=True),
                device=device.type,
                seed=0,
                amp_dtype=case.amp_dtype,
                reports=lambda iteration: True,
            )
            their_trainer = AMPTrainer if case.peer_amp else SimpleTrainer
            their_step = their_trainer(
                theirs, itertools.repeat(batch), make_optimizer(theirs, fused=False)
            )
            grows = "short_side" if len(case.sides) > 1 else "batch"
            work = {"batch": batch_size, "short_side": side}
            yield compare(
                case.name,
                f"detectron2's {their_trainer.__name__}",
                {grows: work.pop(grows), **work, "people": _PEOPLE},
                partial(_step, our_step),
                partial(_step, their_step),
                partial(_difference, bound=_bound(case, device)),
                device,
                seconds=_SECONDS if seconds is None else seconds,
            )


def make_batch(count: int, side: int) -> list[dict[str, Any]]:
    """Return photos of ``side`` x 4/3 ``side`` with four people each."""
    generator = torch.Generator().manual_seed(0)
    photos = make_photos(count, side, 32 * round(side * 4 / 3 / 32))
    for photo in photos:
        size = torch.tensor([photo["width"], photo["height"]])
        corner = size * 0.6 * torch.rand(_PEOPLE, 2, generator=generator)
        boxes = torch.cat([corner, corner + size * 0.35], dim=1)
        inside = torch.rand(_PEOPLE, 17, 2, generator=generator)
        points = boxes[:, None, :2] + inside * (boxes[:, None, 2:] - boxes[:, None, :2])
        visible = torch.full((_PEOPLE, 17, 1), 2.0)
        photo["file_name"] = "made for the benchmark"
        photo["instances"] = Instances(
            (photo["height"], photo["width"]),
            gt_boxes=Boxes(boxes),
            gt_classes=torch.zeros(_PEOPLE, dtype=torch.int64),
            gt_keypoints=Keypoints(torch.cat([points, visible], dim=2)),
        )
    return photos


def make_optimizer(model: nn.Module, fused: bool) -> torch.optim.Optimizer:
    """Return the slides' optimizer, but for the learning rate."""
    parameters = get_default_optimizer_params(model, weight_decay_norm=0.0)
    return torch.optim.SGD(parameters, lr=_LR, momentum=0.9, weight_decay=1e-4, fused=fused or None)


def _step(trainer: SimpleTrainer) -> dict[str, float]:
    """Take one step and return its losses."""
    seed_everything(0, 0, 0)  # as our step does by itself: both sample the same boxes
    with EventStorage() as storage:
        trainer.iter = 0
        trainer.run_step()
        return {name: value for name, (value, _) in storage.latest().items() if "loss" in name}


def _bound(case: Case, device: torch.device) -> float | None:
    if device.type == "cuda":
        return None
    return 1e-2 if case.amp_dtype is None else 0.1


def _difference(
    ours: dict[str, float], theirs: dict[str, float], bound: float | None
) -> list[Difference]:
    apart = [abs(ours[name] - value) / max(abs(value), 1e-2) for name, value in theirs.items()]
    return [Difference("losses, relative", max(apart), bound)]
