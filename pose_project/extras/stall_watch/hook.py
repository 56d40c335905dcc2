"""Several processes that wait for one that hangs: find it, name it, and end the wait."""

import json
import logging
import os
import socket
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist
from detectron2.engine import HookBase
from detectron2.utils import comm

from pose_project.utils.private_api import default_store

logger = logging.getLogger(__name__)

EXIT_STALLED = 1
# A main thread in one of these waits for other processes; anywhere else it is waited for.
_WAITING = ("torch/distributed/", "torch/autograd/")
_ANSWER = timedelta(seconds=10)


@dataclass
class Heartbeat:
    """What a process tells the others about itself, again and again.

    Args:
        sender: host and process number.
        count: grows with every heartbeat; that of a frozen or dead process does not.
        still: seconds that the main thread has been at the same place.
        iteration: of training.
        place: file, line and function that the main thread is in.
        waiting: whether that place waits for other processes.
    """

    sender: str
    count: int
    still: float
    iteration: int
    place: str
    waiting: bool


class StallWatch(HookBase):
    """End this process, saying which one hangs, when all processes stand still.

    Gradients are summed over all processes, so one that hangs (a frozen machine, a disk that does
    not answer) stops all of them, for good or until the library's own timeout, which does not name
    it. A thread in every process notes when its main thread last moved and tells the others by the
    store of the process group. Training ends once *nobody* has moved for ``timeout``; a long
    evaluation in one process is not a stall. Under ``torchrun --max-restarts`` the run then starts
    again from its last checkpoint. A single process is not watched.

    Args:
        timeout: in seconds; 0 does not watch. A frozen process is found after at most 1.5 times
            as long, since the others only then notice that its reports have ceased.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._stop = threading.Event()

    def before_train(self) -> None:
        """Start to watch the thread that trains."""
        if self.timeout > 0 and comm.get_world_size() > 1:
            watched = threading.get_ident()
            threading.Thread(target=self._watch, args=(watched,), daemon=True).start()

    def after_train(self) -> None:
        """Stop watching."""
        self._stop.set()

    def _watch(self, thread_id: int) -> None:
        store = dist.PrefixStore("stall", default_store())
        keys = [str(rank) for rank in range(comm.get_world_size())]
        interval = min(self.timeout / 10, 10.0)
        last_position: object = None
        moved_at = time.monotonic()
        heard: dict[int, tuple[int, float]] = {}  # rank: its count, and when that was new
        count = 0
        while not self._stop.wait(interval):
            now = time.monotonic()
            stack = _stack_of(thread_id)
            position = (self.trainer.iter, [(frame.name, frame.lineno) for frame in stack])
            if position != last_position:
                last_position, moved_at = position, now
            count += 1
            mine = _heartbeat(stack, count, now - moved_at, self.trainer.iter)
            try:
                store.set(keys[comm.get_rank()], json.dumps(asdict(mine)))
                if mine.still < self.timeout / 2:
                    continue
                store.wait(keys, _ANSWER)
                heartbeats = [Heartbeat(**json.loads(each)) for each in store.multi_get(keys)]
            except dist.DistError:
                logger.warning("The process that keeps the rendezvous does not answer.")
                continue
            for rank, each in enumerate(heartbeats):
                if heard.get(rank, (None,))[0] != each.count:
                    heard[rank] = (each.count, now)
            silent = [now - heard[rank][1] for rank in range(len(heartbeats))]
            message = find_stall(heartbeats, silent, self.timeout)
            if message:
                logger.error(message)
                print(f"error: {message}", file=sys.stderr, flush=True)
                os._exit(EXIT_STALLED)  # the main thread waits in a library and cannot be raised in


def find_stall(heartbeats: list[Heartbeat], silent: list[float], timeout: float) -> str | None:
    """Return who holds everybody up, or None while anybody moves.

    Args:
        heartbeats: the last of each process, by rank.
        silent: seconds since it came.
        timeout: seconds without a move that count as a stall.
    """
    still = [each.still + quiet for each, quiet in zip(heartbeats, silent, strict=True)]
    if min(still) < timeout:
        return None
    frozen = [rank for rank, quiet in enumerate(silent) if quiet > timeout / 4]
    busy = [rank for rank, each in enumerate(heartbeats) if not each.waiting]
    named = frozen or busy or range(len(heartbeats))
    culprits = []
    for rank in named:
        each = heartbeats[rank]
        verb = "does not answer, last seen" if rank in frozen else "hangs"
        culprits.append(
            f"process {rank} ({each.sender}) {verb} in iteration {each.iteration} at {each.place}"
        )
    return (
        f"no process has moved for {min(still):.0f} s: {'; '.join(culprits)}. --resume goes on "
        "from the last checkpoint; train.stall_timeout sets the wait"
    )


def _stack_of(thread_id: int) -> traceback.StackSummary:
    return traceback.StackSummary.extract(
        traceback.walk_stack(sys._current_frames()[thread_id]), lookup_lines=False
    )


def _heartbeat(
    stack: traceback.StackSummary, count: int, still: float, iteration: int
) -> Heartbeat:
    """Return that of this process; the innermost frame of ``stack`` comes first."""
    inner = stack[0]
    place = f"{'/'.join(Path(inner.filename).parts[-2:])}:{inner.lineno} {inner.name}"
    waiting = any(part in frame.filename for frame in stack for part in _WAITING)
    sender = f"{socket.gethostname()}, pid {os.getpid()}"
    return Heartbeat(sender, count, still, iteration, place, waiting)
