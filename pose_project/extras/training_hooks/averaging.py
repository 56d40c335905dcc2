"""An exponential moving average of the weights, evaluated beside the weights themselves."""

from typing import Any

from detectron2.engine import HookBase
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pose_project.checkpoint import PoseCheckpointer


class WeightAverage(HookBase):
    """Average weights and BatchNorm statistics after every iteration.

    Args:
        model: the trained model, not wrapped.
        decay: share of the old average that stays, in (0, 1).
        output_dir: gets ``model_ema.pth`` after the last iteration.
    """

    def __init__(self, model: nn.Module, decay: float, output_dir: str) -> None:
        self.model = model
        self.average = AveragedModel(
            model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
        )
        self.output_dir = output_dir

    def after_step(self) -> None:
        """Move the average towards the weights; the first time, take them."""
        self.average.update_parameters(self.model)
        if self.trainer.iter + 1 == self.trainer.max_iter:
            saver = PoseCheckpointer(self.average.module, self.output_dir)
            saver.save("model_ema", tag_as_last=False, iteration=self.trainer.iter)

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return self.average.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the average."""
        self.average.load_state_dict(state_dict)
