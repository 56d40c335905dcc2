"""The status bar: epoch, iteration, loss, learning rate, images per second, time left."""

import datetime
import logging
import sys
import time
from contextlib import ExitStack

from detectron2.engine import HookBase
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pose_project.engine.hooks.saving import is_due

logger = logging.getLogger(__name__)


class Progress(HookBase):
    """A tqdm bar on a terminal, one log line every ``period`` iterations elsewhere.

    Args:
        period: in iterations; the slides' ``print_freq``.
        iterations_per_epoch: to count epochs.
        total_batch_size: images per iteration over all processes.
    """

    def __init__(self, period: int, iterations_per_epoch: int, total_batch_size: int) -> None:
        self.period = period
        self.iterations_per_epoch = iterations_per_epoch
        self.total_batch_size = total_batch_size
        self._bar: tqdm | None = None
        self._terminal = ExitStack()

    def before_train(self) -> None:
        """Show the bar, at the iteration that training starts from."""
        if sys.stderr.isatty():
            span = {"total": self.trainer.max_iter, "initial": self.trainer.start_iter}
            self._bar = self._terminal.enter_context(tqdm(**span, dynamic_ncols=True))
            # log lines go above the bar instead of through it
            loggers = [logging.getLogger(name) for name in ("pose_project", "detectron2", "fvcore")]
            self._terminal.enter_context(logging_redirect_tqdm(loggers))
        self._since = (self.trainer.start_iter, time.perf_counter())

    def after_step(self) -> None:
        """Advance the bar; every ``period`` iterations refresh or log the numbers."""
        done = self.trainer.iter + 1
        if self._bar is not None:
            self._bar.update()
        if is_due(done, self.period, self.trainer.max_iter):
            self._show(done)

    def after_train(self) -> None:
        """Leave the finished bar on the screen."""
        self._terminal.close()

    def _show(self, done: int) -> None:
        since, start = self._since
        now = time.perf_counter()
        seconds = (now - start) / (done - since)
        self._since = (done, now)
        latest = self.trainer.storage.latest()
        epochs = -(-self.trainer.max_iter // self.iterations_per_epoch)
        epoch = min((done - 1) // self.iterations_per_epoch + 1, epochs)
        loss, lr = latest["total_loss"][0], latest["lr"][0]
        speed = self.total_batch_size / seconds
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)
            self._bar.set_postfix_str(f"loss {loss:.3f}, lr {lr:.2g}, {speed:.1f} img/s")
        left = datetime.timedelta(seconds=round((self.trainer.max_iter - done) * seconds))
        parts = ", ".join(
            f"{name.removeprefix('loss_')} {value:.3f}"
            for name, (value, _) in latest.items()
            if name.startswith("loss_")
        )
        self._log(
            f"epoch {epoch}/{epochs}  iteration {done}/{self.trainer.max_iter}  loss {loss:.3f} "
            f"({parts})  lr {lr:.2g}  {speed:.1f} img/s  ETA {left}"
        )

    def _log(self, line: str) -> None:
        if self._bar is None:
            logger.info(line)
            return
        # the screen has the bar; the line is for log.txt
        record = logger.makeRecord(__name__, logging.INFO, __file__, 0, line, (), None)
        for handler in logging.getLogger("pose_project").handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)
