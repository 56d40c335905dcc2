"""One optimisation step: autocast, backward, clipping, update, and the numbers it reports."""

import time
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage
from torch import Tensor, nn
from torch.optim import Optimizer

from pose_project.data.loader import seed_everything
from pose_project.utils.errors import InputError, NonFiniteLossError

_AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainStep(SimpleTrainer):
    """Detectron2's training step with autocast on any device and clipped gradients.

    The random state is set from (seed, rank, iteration) before each step, so a step does not
    depend on the ones before it, and a resumed run takes the same steps.

    Args:
        model: returns a dict of losses in training.
        data_loader: iterable over lists of model inputs.
        optimizer: of the model's parameters.
        device: of the model, such as ``"cuda"`` or ``"cpu"``.
        seed: of sampling and dropout.
        amp_dtype: ``"bf16"``, ``"fp16"`` (CUDA only) or None for float32.
        clip_grad_norm: largest norm of all gradients together; 0 does not clip.

    Raises:
        InputError: if ``amp_dtype`` is unknown or not for this device.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Iterable[list[dict[str, Any]]],
        optimizer: Optimizer,
        *,
        device: str,
        seed: int,
        amp_dtype: str | None = None,
        clip_grad_norm: float = 0.0,
    ) -> None:
        super().__init__(model, data_loader, optimizer)
        if amp_dtype is not None and amp_dtype not in _AUTOCAST_DTYPES:
            raise InputError(f"train.amp.dtype must be bf16 or fp16, not {amp_dtype!r}")
        device_type = torch.device(device).type
        if amp_dtype == "fp16" and device_type == "cpu":
            raise InputError("train.amp.dtype=fp16 needs a GPU; a CPU runs train.amp.dtype=bf16")
        self.device_type = device_type
        self.seed = seed
        self.amp_dtype = _AUTOCAST_DTYPES.get(amp_dtype)
        self.clip_grad_norm = clip_grad_norm
        # bfloat16 has float32's range; only float16 needs its losses scaled
        self.grad_scaler = torch.amp.GradScaler(device_type, enabled=amp_dtype == "fp16")

    def run_step(self) -> None:
        """Take one batch and update the weights.

        Raises:
            NonFiniteLossError: before the update, if a loss is infinite or NaN in any process.
        """
        seed_everything(self.seed, comm.get_rank(), self.iter)
        start = time.perf_counter()
        batch = next(self._data_loader_iter)
        data_time = time.perf_counter() - start

        with torch.autocast(self.device_type, self.amp_dtype, enabled=self.amp_dtype is not None):
            losses = self.model(batch)
        self._report(losses, batch, data_time)
        self.optimizer.zero_grad()
        self.grad_scaler.scale(sum(losses.values())).backward()
        if self.clip_grad_norm > 0:
            self.grad_scaler.unscale_(self.optimizer)
            parameters = [p for p in self.model.parameters() if p.requires_grad]
            nn.utils.clip_grad_norm_(parameters, self.clip_grad_norm)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's and the gradient scaler's state; the iteration is the parent's."""
        return {
            "iteration": self.iter,
            "optimizer": self.optimizer.state_dict(),
            "grad_scaler": self.grad_scaler.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self.iter = state_dict["iteration"]
        self.optimizer.load_state_dict(state_dict["optimizer"])
        if state_dict["grad_scaler"]:
            self.grad_scaler.load_state_dict(state_dict["grad_scaler"])

    def _report(
        self, losses: dict[str, Tensor], batch: list[dict[str, Any]], data_time: float
    ) -> None:
        # One transfer for all losses; the mean over processes is NaN everywhere if it is in one.
        values = torch.stack([loss.detach().float() for loss in losses.values()])
        if comm.get_world_size() > 1:
            dist.all_reduce(values)
            values /= comm.get_world_size()
        named = dict(zip(losses, values.tolist(), strict=True))
        if not values.isfinite().all():
            files = ", ".join(str(photo["file_name"]) for photo in batch)
            raise NonFiniteLossError(
                f"the loss is not finite at iteration {self.iter}: {named}; photos: {files}. "
                "Lower optimizer.lr, lengthen the warm-up, or set train.clip_grad_norm; the last "
                "checkpoint is intact"
            )
        storage = get_event_storage()
        storage.put_scalars(**named, total_loss=sum(named.values()), data_time=data_time)
