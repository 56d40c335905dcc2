"""Learning-rate schedules in epochs or iterations, with a warm-up in iterations.

A schedule in a config is a description; it becomes a function of the iteration once the length of
an epoch is known, when training starts.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fvcore.common.param_scheduler import ParamScheduler

from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)


class IterationMultiplier(ParamScheduler):
    """fvcore's form of a schedule: called with iteration / max_iter, returns the factor."""

    def __init__(self, factor: Callable[[int], float], max_iter: int) -> None:
        self.factor = factor
        self.max_iter = max_iter

    def __call__(self, where: float) -> float:
        """Return the factor of the base learning rate at ``where`` in [0, 1]."""
        return self.factor(round(where * self.max_iter))


@dataclass(frozen=True)
class WarmupMultiStep:
    """Linear warm-up, then a decay by ``gamma`` at every milestone.

    fvcore's ``MultiStepParamScheduler`` refuses a milestone past the end of training; the slides
    have one (epoch 43 of 42), so here it is kept, and logged as never reached.

    Args:
        milestones: increasing; in ``unit``.
        unit: ``"epochs"`` or ``"iterations"``.
        gamma: factor at each milestone.
        warmup_iters: length of the warm-up, in iterations.
        warmup_factor: factor at iteration 0.
        warmup_within_epoch: warm up for at most one epoch less one iteration, as torchvision does.
    """

    milestones: Sequence[float]
    unit: str = "epochs"
    gamma: float = 0.1
    warmup_iters: int = 1000
    warmup_factor: float = 1 / 1000
    warmup_within_epoch: bool = False

    def build(self, max_iter: int, iterations_per_epoch: int) -> ParamScheduler:
        """Return the factor as a function of progress.

        Raises:
            InputError: if ``unit`` is unknown or the milestones do not increase.
        """
        if self.unit not in ("epochs", "iterations"):
            raise InputError(f"lr_multiplier.unit must be epochs or iterations, not {self.unit!r}")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise InputError(f"lr_multiplier.milestones must increase, got {self.milestones}")
        scale = iterations_per_epoch if self.unit == "epochs" else 1
        milestones = [round(milestone * scale) for milestone in self.milestones]
        for printed, iteration in zip(self.milestones, milestones, strict=True):
            if iteration >= max_iter:
                logger.info(
                    "Milestone %s (%s) is iteration %d of %d and will never be reached.",
                    *(printed, self.unit, iteration, max_iter),
                )
        warmup_iters = self.warmup_iters
        if self.warmup_within_epoch:
            warmup_iters = min(warmup_iters, iterations_per_epoch - 1)

        def factor(iteration: int) -> float:
            passed = sum(iteration >= milestone for milestone in milestones)
            return self.gamma**passed * warmup(iteration, warmup_iters, self.warmup_factor)

        return IterationMultiplier(factor, max_iter)


@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up, then half a cosine down to ``final_factor`` at the last iteration.

    Args:
        warmup_iters: length of the warm-up, in iterations, so that short runs have one as well.
        warmup_factor: factor at iteration 0.
        final_factor: factor at the end.
    """

    warmup_iters: int
    warmup_factor: float = 1 / 1000
    final_factor: float = 0.0

    def build(self, max_iter: int, iterations_per_epoch: int) -> ParamScheduler:
        """Return the factor as a function of progress; an epoch's length does not matter."""
        del iterations_per_epoch

        def factor(iteration: int) -> float:
            cosine = (1 + math.cos(math.pi * iteration / max_iter)) / 2
            decay = self.final_factor + (1 - self.final_factor) * cosine
            return decay * warmup(iteration, self.warmup_iters, self.warmup_factor)

        return IterationMultiplier(factor, max_iter)


def warmup(iteration: int, warmup_iters: int, warmup_factor: float) -> float:
    """Return the linear warm-up: ``warmup_factor`` at 0, 1 from ``warmup_iters`` on.

    >>> [round(warmup(i, 4, 0.2), 2) for i in range(6)]
    [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    """
    if iteration >= warmup_iters:
        return 1.0
    return warmup_factor + (1 - warmup_factor) * iteration / warmup_iters
