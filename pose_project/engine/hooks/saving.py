"""When to evaluate and when to save: periodic checkpoints, and the best one."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectron2.engine import HookBase
from detectron2.evaluation.testing import flatten_results_dict
from detectron2.utils import comm

from pose_project.checkpoint import PoseCheckpointer

logger = logging.getLogger(__name__)

Results = dict[str, dict[str, float]]


def is_due(done: int, period: int, max_iter: int) -> bool:
    """Return whether it is time after ``done`` iterations: every ``period``, 0: only the last."""
    return done == max_iter or (period > 0 and done % period == 0)


class Evaluation(HookBase):
    """Evaluate every ``period`` iterations and after the last, and keep the best checkpoint.

    It runs before the checkpoint of the same iteration is written, so that a checkpoint holds the
    best metric up to itself. If the evaluation fails, a checkpoint is written first.

    Args:
        evaluate: returns {task: {metric: percent}}; empty in all but the main process.
        period: in iterations; 0 evaluates only after the last.
        checkpointer: writes ``model_best.pth``.
        best_metric: ``task/metric`` that decides which checkpoint is best, the higher the better.
    """

    def __init__(
        self,
        evaluate: Callable[[], Results],
        period: int,
        checkpointer: PoseCheckpointer,
        best_metric: str,
    ) -> None:
        self.evaluate = evaluate
        self.period = period
        self.checkpointer = checkpointer
        self.best_metric = best_metric
        self.best: dict[str, float] = {}
        self.stale = 0  # evaluations since the best one

    def after_step(self) -> None:
        """Evaluate if it is time to."""
        if is_due(self.trainer.iter + 1, self.period, self.trainer.max_iter):
            try:
                results = self.evaluate()
            except Exception:
                name = f"model_{self.trainer.iter:07d}"
                self.checkpointer.save(name, iteration=self.trainer.iter)
                raise
            self.record(results)
            comm.synchronize()

    def record(self, results: Results) -> None:
        """Put the results among the metrics and save the model if it is the best so far."""
        flat = flatten_results_dict(results)
        self.trainer.storage.put_scalars(**flat, smoothing_hint=False)
        value = flat.get(self.best_metric, math.nan)
        self.stale += 1
        if math.isnan(value) or value <= self.best.get("value", -math.inf):
            return
        self.stale = 0
        self.best = {"value": value, "iteration": self.trainer.iter}
        self.checkpointer.save(
            "model_best",
            tag_as_last=False,
            iteration=self.trainer.iter,
            provenance={"iteration": self.trainer.iter, "metrics": results},
        )
        logger.info("Best %s so far: %.2f", self.best_metric, value)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, its iteration, and the evaluations since then."""
        return {"best": self.best, "stale": self.stale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best value, so that a resumed run does not overwrite a better model."""
        self.best = state_dict["best"]
        self.stale = state_dict["stale"]


class Checkpoints(HookBase):
    """Save every ``period`` iterations and after the last; the last thing done in an iteration.

    Args:
        checkpointer: writes ``model_<iteration>.pth`` and ``model_final.pth``.
        period: in iterations; 0 saves only after the last.
        max_to_keep: how many numbered checkpoints stay; older ones are removed.
        for_use: also write ``model_use.pth`` after the last iteration.
        describe: returns what goes into the JSON beside the file.
    """

    def __init__(
        self,
        checkpointer: PoseCheckpointer,
        period: int,
        max_to_keep: int,
        for_use: bool,
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        self.checkpointer = checkpointer
        self.period = period
        self.max_to_keep = max_to_keep
        self.for_use = for_use
        self.describe = describe

    def after_step(self) -> None:
        """Save if it is time to."""
        done = self.trainer.iter + 1
        last = done == self.trainer.max_iter
        if is_due(done, self.period, self.trainer.max_iter):
            if not all(p.isfinite().all() for p in self.checkpointer.model.parameters()):
                logger.warning("The weights are not finite after this update: not saved.")
                return
            name = "model_final" if last else f"model_{self.trainer.iter:07d}"
            self.checkpointer.save(name, iteration=self.trainer.iter, provenance=self.describe())
            if last and self.for_use:
                self.checkpointer.save_for_use("model_use", self.describe())
            self._prune()

    def _prune(self) -> None:
        if not comm.is_main_process():
            return
        numbered = sorted(Path(self.checkpointer.save_dir).glob("model_[0-9]*.pth"))
        for path in numbered[: max(len(numbered) - self.max_to_keep, 0)]:
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
