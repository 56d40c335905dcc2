import time
from pathlib import Path

import pytest
import torch

from benchmarks import Difference, compare
from benchmarks.compare import growth_exponent, peak_memory_mb

CPU = torch.device("cpu")


def run_compare(ours, theirs, bound: float = 0.5, seconds: float = 0.0):
    return compare(
        "sleeping",
        "a peer",
        {"naps": 1},
        ours,
        theirs,
        lambda a, b: [Difference("value", abs(a - b), bound)],
        CPU,
        seconds,
    )


def sleeper(seconds: float, value: float = 0.0, log: list[float] | None = None):
    def sleep() -> float:
        time.sleep(seconds)
        if log is not None:
            log.append(seconds)
        return value

    return sleep


def test_ratio_and_order_of_runs():
    log = []
    result = run_compare(sleeper(0.01, log=log), sleeper(0.04, log=log))
    assert log == [0.01, 0.04] + [0.01, 0.04] + [0.04, 0.01] + [0.01, 0.04]
    assert result.ours.runs == result.theirs.runs == 3
    assert 0.01 <= result.ours.shortest <= result.ours.median <= result.ours.longest
    low, high = result.ratio_range
    assert low <= result.ratio <= high
    assert result.ratio > 1
    assert result.is_same


@pytest.mark.parametrize(("value", "same"), [(0.4, True), (0.6, False), (float("nan"), False)])
def test_outputs_that_differ(value, same):
    result = run_compare(sleeper(0, value), sleeper(0, 0.0))
    assert result.is_same is same
    assert ("> 5e-01!" in result.line()) is not same


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is from /proc")
def test_peak_memory_is_that_of_one_call():
    def use(megabytes: int) -> int:
        return int(torch.ones(megabytes * 250_000).sum())

    peak_memory_mb(lambda: use(200), CPU)  # what was freed before does not count
    output, peak = peak_memory_mb(lambda: use(40), CPU)
    assert output == 10_000_000
    assert 38 < peak < 60


def test_growth_is_that_of_the_larger_sizes():
    sizes = [1.0, 10.0, 20.0, 40.0]
    assert growth_exponent(sizes, [5.0, 4.0, 16.0, 64.0]) == pytest.approx(2)
    assert growth_exponent([5.0], [1.0]) != growth_exponent([5.0], [1.0])  # NaN
