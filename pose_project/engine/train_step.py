"""One optimisation step: autocast, backward, clipping, update, and the numbers it reports."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from detectron2.engine import SimpleTrainer
from detectron2.utils import comm
from detectron2.utils.events import get_event_storage
from torch import Tensor, nn
from torch.optim import Optimizer

from pose_project.data.loader import seed_everything
from pose_project.modeling.precision import named_dtype
from pose_project.utils.errors import NonFiniteLossError, OutOfMemoryError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Step:
    """What the host has to know of a step; numbers are on the device."""

    iteration: int
    losses: dict[str, Tensor]
    gradient_norm: Tensor
    file_names: list[str]

    def values(self) -> Tensor:
        return torch.stack([*self.losses.values(), self.gradient_norm])


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
        accumulate: pieces that each batch is computed in, one after the other, to save memory.
        max_skipped_steps: updates with a loss or gradient that is not finite that are left out
            before training stops.
        reports: whether an iteration is one after which the losses are looked at.

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
        accumulate: int = 1,
        max_skipped_steps: int = 0,
        reports: Callable[[int], bool] = lambda iteration: True,
    ) -> None:
        super().__init__(model, data_loader, optimizer)
        self.device = torch.device(device)
        self.amp_dtype = None
        if amp_dtype is not None:
            self.amp_dtype = named_dtype("train.amp.dtype", amp_dtype, device, ("bf16", "fp16"))
        self.seed = seed
        self.clip_grad_norm = clip_grad_norm
        self.accumulate = accumulate
        self.max_skipped_steps = max_skipped_steps
        self.skipped_steps = 0
        self.reports = reports
        self._steps: list[_Step] = []  # not looked at yet
        self._num_bad = torch.zeros((), dtype=torch.int64, device=self.device)
        # bfloat16 has float32's range; only float16 needs its losses scaled
        self.grad_scaler = torch.amp.GradScaler(self.device.type, enabled=amp_dtype == "fp16")

    def run_step(self) -> None:
        """Take one batch and update the weights.

        An update with a loss or gradient that is not finite is left out. Where the optimizer can
        be told so on the device (``fused``), the host looks at the losses of several steps at once,
        see ``reports``, and an error shows that late; but no update is made after it.

        Raises:
            NonFiniteLossError: if a loss or gradient is infinite or NaN in any process and
                ``max_skipped_steps`` have been left out already.
            OutOfMemoryError: if the batch does not fit the GPU.
        """
        seed_everything(self.seed, comm.get_rank(), self.iter)
        start = time.perf_counter()
        batch = next(self._data_loader_iter)
        get_event_storage().put_scalar("data_time", time.perf_counter() - start)
        try:
            losses = self._forward_backward(batch)
        except FloatingPointError:
            # Detectron2's RPN raises it for boxes that are not finite. Other processes wait for
            # this one's gradients, so only a single process can leave the update out.
            losses = {"total_loss": torch.full((), math.nan, device=self.device)}
            if comm.get_world_size() > 1:
                self.max_skipped_steps = 0
        except torch.cuda.OutOfMemoryError as error:
            sizes = ", ".join("x".join(map(str, each["image"].shape[1:])) for each in batch)
            raise OutOfMemoryError(
                f"out of GPU memory at iteration {self.iter} with {len(batch)} photos of {sizes} "
                "(height x width). Try train.accumulate=2, train.amp.enabled=True, a smaller "
                "dataloader.train.total_batch_size or smaller photos; the last checkpoint is intact"
            ) from error
        files = [str(each["file_name"]) for each in batch]
        self._steps.append(_Step(self.iter, losses, self._gradient_norm(), files))
        if self._decides_on_device():
            self._update_if_finite()
            if self.reports(self.iter):
                self.flush_losses()
        elif self.flush_losses():
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()

    def _forward_backward(self, batch: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Leave the batch's gradients on the parameters; return the losses, averaged."""
        self.optimizer.zero_grad()
        for each in batch:  # from pinned memory; the model would wait for each
            each["image"] = each["image"].to(self.device, non_blocking=True)
        pieces = [batch[first :: self.accumulate] for first in range(self.accumulate)]
        sums: dict[str, Tensor] = {}
        for piece in filter(None, pieces):
            share = len(piece) / len(batch)
            with torch.autocast(self.device.type, self.amp_dtype, enabled=bool(self.amp_dtype)):
                losses = self.model(piece)
            self.grad_scaler.scale(share * sum(losses.values())).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + share * loss.detach().float()
        values = torch.stack(list(sums.values()))
        if comm.get_world_size() > 1:
            dist.all_reduce(values)  # NaN everywhere if it is in one process
            values /= comm.get_world_size()
        return {**dict(zip(sums, values, strict=True)), "total_loss": values.sum()}

    def _gradient_norm(self) -> Tensor:
        """Clip the gradients; return their norm before, 0 where it is not to be looked at."""
        if self.amp_dtype != torch.float16:
            return self._clip()
        # the scaler leaves out infinite gradients by itself: that is how it finds its scale
        if self.clip_grad_norm > 0:
            self.grad_scaler.unscale_(self.optimizer)
            self._clip()
        return torch.zeros((), device=self.device)

    def _decides_on_device(self) -> bool:
        # Not before there is a state: a fused SGD whose first update is left out would go on with a
        # momentum that nobody has set.
        groups = self.optimizer.param_groups
        is_fused = self.amp_dtype != torch.float16 and all(each.get("fused") for each in groups)
        return is_fused and bool(self.optimizer.state)

    def _update_if_finite(self) -> None:
        is_bad = ~self._steps[-1].values().isfinite().all()
        self._num_bad += is_bad
        # as GradScaler tells it; from the step on that stops training, nothing is updated
        self.optimizer.found_inf = (is_bad | (self._num_bad > self.max_skipped_steps)).float()
        self.optimizer.step()
        del self.optimizer.found_inf

    def flush_losses(self) -> bool:
        """Fetch the losses of all steps since the last call, in one transfer, and report them.

        Returns:
            Whether the last step's losses and gradients are finite.

        Raises:
            NonFiniteLossError: see ``run_step``.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return True
        values = torch.cat([each.values() for each in steps]).tolist()
        for step in steps:
            losses = dict(zip(step.losses, values, strict=False))
            norm = values[len(losses)]
            values = values[len(losses) + 1 :]
            is_finite = all(map(math.isfinite, (*losses.values(), norm)))
            if not is_finite:
                self._leave_out(step, losses)
        get_event_storage().put_scalars(**losses)
        return is_finite

    def _clip(self) -> Tensor:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        return nn.utils.clip_grad_norm_(parameters, self.clip_grad_norm or math.inf)

    def _leave_out(self, step: "_Step", losses: dict[str, float]) -> None:
        what = "gradient" if all(map(math.isfinite, losses.values())) else "loss"
        message = (
            f"the {what} is not finite at iteration {step.iteration}: {losses}; "
            f"photos: {', '.join(step.file_names)}"
        )
        self.skipped_steps += 1
        if self.skipped_steps > self.max_skipped_steps:
            raise NonFiniteLossError(
                f"{message}. Lower optimizer.lr, lengthen the warm-up, or set "
                "train.clip_grad_norm; the last checkpoint is intact",
                step.iteration,
            )
        get_event_storage().put_scalar("skipped_steps", self.skipped_steps, smoothing_hint=False)
        logger.warning("Update left out: %s", message)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of optimizer and gradient scaler, and how many steps were left out.

        Raises:
            NonFiniteLossError: if a step since the last report was not finite: no checkpoint is
                written of a run that has failed.
        """
        self.flush_losses()
        return {
            "iteration": self.iter,
            "optimizer": self.optimizer.state_dict(),
            "grad_scaler": self.grad_scaler.state_dict(),
            "skipped_steps": self.skipped_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self.iter = state_dict["iteration"]
        self.optimizer.load_state_dict(state_dict["optimizer"])
        if state_dict["grad_scaler"]:
            self.grad_scaler.load_state_dict(state_dict["grad_scaler"])
        self.skipped_steps = state_dict["skipped_steps"]
        self._num_bad.fill_(self.skipped_steps)
