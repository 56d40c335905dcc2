"""Ctrl-C and preemption: finish the iteration, save, and leave with a code that says so."""

import logging
import math
import signal
import threading
import time
from types import FrameType

import torch
import torch.distributed as dist
from detectron2.engine import HookBase
from detectron2.utils import comm

from pose_project.checkpoint import PoseCheckpointer
from pose_project.utils.cli import stop_signals
from pose_project.utils.errors import TrainingInterrupted

logger = logging.getLogger(__name__)

# torchrun passes on a signal that a terminal or a scheduler has sent to its processes as well.
_ECHO = 1.0  # seconds within which another one is the same


class StopOnSignal(HookBase):
    """Save after the current iteration when SIGINT or SIGTERM arrives; a second one stops at once.

    Under several processes all of them stop together, also if only one got the signal.

    Args:
        checkpointer: writes the checkpoint that ``--resume`` continues from.
    """

    def __init__(self, checkpointer: PoseCheckpointer) -> None:
        self.checkpointer = checkpointer
        self._received = 0
        self._received_at = -math.inf
        self._previous: dict[int, signal.Handlers] = {}

    def before_train(self) -> None:
        """Take over both signals, where Python allows it: in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in stop_signals():
            self._previous[number] = signal.signal(number, self._on_signal)

    def after_step(self) -> None:
        """Save and stop if a signal has arrived.

        Raises:
            TrainingInterrupted: with exit code 128 + the signal's number.
        """
        received = self._received
        if comm.get_world_size() > 1:
            shared = torch.tensor(received, device=self.trainer.lazy_cfg.train.device)
            dist.all_reduce(shared, dist.ReduceOp.MAX)
            received = int(shared)
        if received == 0 or self.trainer.iter + 1 == self.trainer.max_iter:
            return
        iteration = self.trainer.iter
        self.checkpointer.save(f"model_{iteration:07d}", iteration=iteration)
        raise TrainingInterrupted(
            f"stopped by {signal.Signals(received).name} after iteration {iteration}; the same "
            "command with --resume goes on from there",
            exit_code=128 + received,
        )

    def after_train(self) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        echoed = time.monotonic() - self._received_at < _ECHO
        if echoed and dist.is_torchelastic_launched():
            return
        if self._received:
            self.after_train()  # from now on as if this hook were not there
            signal.raise_signal(number)
            return
        self._received, self._received_at = number, time.monotonic()
        logger.warning(
            "%s: saving after this iteration; a second signal stops at once.",
            signal.Signals(number).name,
        )
