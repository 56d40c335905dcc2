"""Stop when the best metric has not improved for a while."""

from detectron2.engine import HookBase

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine.hooks.saving import Evaluation
from pose_project.utils.errors import EarlyStop


class EarlyStopping(HookBase):
    """End training after ``patience`` evaluations without a new best; runs last in an iteration.

    Args:
        evaluation: counts the evaluations since the best one.
        checkpointer: writes ``model_final.pth``.
        patience: in evaluations.
    """

    def __init__(
        self, evaluation: Evaluation, checkpointer: PoseCheckpointer, patience: int
    ) -> None:
        self.evaluation = evaluation
        self.checkpointer = checkpointer
        self.patience = patience

    def after_step(self) -> None:
        """Save and stop if patience is at its end.

        Raises:
            EarlyStop: which ends the loop, and which the trainer takes for success.
        """
        iteration = self.trainer.iter
        if self.evaluation.stale < self.patience or iteration + 1 == self.trainer.max_iter:
            return
        self.checkpointer.save("model_final", iteration=iteration)
        raise EarlyStop(
            f"{self.evaluation.best_metric} has not improved for {self.patience} evaluations: "
            f"stopped after iteration {iteration}, best {self.evaluation.best['value']:.2f}"
        )
