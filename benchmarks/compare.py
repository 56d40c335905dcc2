"""Two ways to do the same work, run in turn on the same machine: time, memory, and difference."""

import ctypes
import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

_MIN_RUNS, _MAX_RUNS = 3, 21
_GPU_WARM_UPS = 3  # kernels are chosen, graphs recorded


@dataclass(frozen=True)
class Difference:
    """How far the two outputs are apart in one respect."""

    name: str
    value: float
    bound: float | None
    """The largest value at which the outputs count as the same; None: told, not judged."""

    @property
    def is_within(self) -> bool:
        """Whether the outputs agree; never if the value is NaN."""
        return self.bound is None or self.value <= self.bound


@dataclass(frozen=True)
class Seconds:
    """The times of several runs."""

    median: float
    shortest: float
    longest: float
    runs: int


@dataclass(frozen=True)
class Comparison:
    """One piece of work done by ours and by the peer."""

    case: str
    """What is measured, e.g. ``trained-like maps``."""
    peer: str
    """What ours is compared with, e.g. ``detectron2 heatmaps_to_keypoints``."""
    work: dict[str, float]
    """Sizes; the first one is what the case grows with."""
    ours: Seconds
    theirs: Seconds
    ratio: float
    """Median of (their time / our time) over pairs of runs that follow each other."""
    ratio_range: tuple[float, float]
    """The smallest and the largest of these."""
    ours_mb: float | None
    """Peak memory of one run beyond what was there before, in 10^6 bytes; None if not known."""
    theirs_mb: float | None
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether the outputs agree within every bound."""
        return all(each.is_within for each in self.differences)

    def record(self) -> dict[str, Any]:
        """Return this as JSON's types, without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def line(self) -> str:
        """Return this in one line for a terminal."""
        work = " ".join(f"{name}={value:g}" for name, value in self.work.items())
        memory = ""
        if self.ours_mb is not None and self.theirs_mb is not None:
            memory = f", {self.ours_mb:.0f} against {self.theirs_mb:.0f} MB"
        differences = ", ".join(
            f"{each.name} {each.value:.1e}{'' if each.is_within else f' > {each.bound:.0e}!'}"
            for each in self.differences
        )
        return (
            f"{self.case}, {work}: {1e3 * self.ours.median:.2f} ms against "
            f"{1e3 * self.theirs.median:.2f} ms of {self.peer}: {self.ratio:.2f} x "
            f"[{self.ratio_range[0]:.2f}, {self.ratio_range[1]:.2f}]{memory}; {differences}"
        )


def compare(
    case: str,
    peer: str,
    work: dict[str, float],
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    difference: Callable[[Any, Any], list[Difference]],
    device: torch.device,
    seconds: float,
) -> Comparison:
    """Run both in turn and compare.

    The first run of each warms up and gives the outputs and the memory; it is not timed. Then they
    run in pairs, each pair in the other order than the one before, so that what slows the machine
    down slows both. On a GPU a run before them gives the outputs, without TF32, by which PyTorch
    rounds convolutions to ten bits if not told otherwise.

    Args:
        case: what is measured.
        peer: what ours is compared with.
        work: its sizes, the one that grows first.
        ours: does the work and returns the output.
        theirs: the same.
        difference: of the two outputs, ours first.
        device: where they run; it is waited for.
        seconds: go on with pairs so long; at least three, at most 21.
    """
    if device.type == "cuda":
        with without_tf32():
            outputs = ours(), theirs()
        torch.cuda.empty_cache()  # algorithms without TF32 may have taken gigabytes
        ours_mb, theirs_mb = (peak_memory_mb(each, device)[1] for each in (ours, theirs))
    else:
        our_output, ours_mb = peak_memory_mb(ours, device)
        their_output, theirs_mb = peak_memory_mb(theirs, device)
        outputs = our_output, their_output
        del our_output, their_output
    differences = difference(*outputs)
    del outputs
    for _ in range(_GPU_WARM_UPS if device.type == "cuda" else 0):
        ours(), theirs()
    our_times: list[float] = []
    their_times: list[float] = []
    start = time.perf_counter()
    while len(our_times) < _MIN_RUNS or (
        len(our_times) < _MAX_RUNS and time.perf_counter() - start < seconds
    ):
        turns = [(ours, our_times), (theirs, their_times)]
        for function, times in turns if len(our_times) % 2 == 0 else reversed(turns):
            times.append(_time(function, device))
    ratios = [theirs / ours for ours, theirs in zip(our_times, their_times, strict=True)]
    return Comparison(
        case,
        peer,
        work,
        _summary(our_times),
        _summary(their_times),
        statistics.median(ratios),
        (min(ratios), max(ratios)),
        ours_mb,
        theirs_mb,
        differences,
    )


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute convolutions and matrix products in all bits of float32."""
    backends = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [each.allow_tf32 for each in backends]
    try:
        for each in backends:
            each.allow_tf32 = False
        yield
    finally:
        for each, allowed in zip(backends, before, strict=True):
            each.allow_tf32 = allowed


def peak_memory_mb(function: Callable[[], Any], device: torch.device) -> tuple[Any, float | None]:
    """Return a function's output, and by how much memory grew at its highest, in 10^6 bytes.

    On a GPU PyTorch's allocations; on Linux the process's resident memory; elsewhere None.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        output = function()
        torch.cuda.synchronize(device)
        return output, (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if not sys.platform.startswith("linux"):
        return function(), None
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before is used again and not seen
    try:
        Path("/proc/self/clear_refs").write_text(
            "5", encoding="utf-8"
        )  # the peak is now what is there
    except OSError:
        return function(), None
    before = _status_bytes("VmRSS")
    output = function()
    return output, (_status_bytes("VmHWM") - before) / 1e6


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _time(function: Callable[[], Any], device: torch.device) -> float:
    gc.collect()  # or the garbage of one side would be collected in the time of the other
    _synchronize(device)
    start = time.perf_counter()
    output = function()
    _synchronize(device)
    elapsed = time.perf_counter() - start
    del output  # freeing it is not part of the work
    return elapsed


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _summary(times: list[float]) -> Seconds:
    return Seconds(statistics.median(times), min(times), max(times), len(times))


def growth_exponent(work: list[float], seconds: list[float]) -> float:
    """Return p of seconds ~ work ** p, fitted to the upper half of the sizes; 1 is linear.

    >>> round(growth_exponent([1, 10, 20, 40], [5, 10, 20, 40]), 2)
    1.0
    """
    pairs = sorted(zip(work, seconds, strict=True))[len(work) // 2 :]
    x = [math.log(size) for size, _ in pairs]
    y = [math.log(duration) for _, duration in pairs]
    if len(set(x)) < 2:
        return math.nan
    return statistics.linear_regression(x, y).slope
