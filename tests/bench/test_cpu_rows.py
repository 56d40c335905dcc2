"""What must be faster than the peers on a CPU, and by how much; ``make bench`` runs it.

Each ratio is the median over pairs of runs that follow each other in one process, so that a busy
machine slows both sides; the outputs are compared as well.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from benchmarks import (
    Comparison,
    evaluation_speed,
    inference_speed,
    measure_decoding,
    measure_evaluation,
    measure_inference,
    measure_startup,
)

pytestmark = pytest.mark.bench
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def every_core() -> Iterator[None]:
    """Compute with all cores; the other tests take one."""
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def measured(benchmark) -> Callable[[Iterator[Comparison]], list[Comparison]]:
    """Run comparisons once, keep their ratios beside the time, and check that outputs agree."""

    def run(comparisons: Iterator[Comparison]) -> list[Comparison]:
        results = benchmark.pedantic(lambda: list(comparisons), rounds=1)
        for each in results:
            print(each.line())
            benchmark.extra_info[f"{each.case} {each.work}"] = each.ratio
        assert all(each.is_same for each in results)
        return results

    return run


def test_decoding_against_detectron2(measured):
    for each in measured(measure_decoding("detectron2", CPU)):
        is_trained = each.case == "trained-like maps"
        needed = 6.0 if is_trained and each.work["people"] == 100 else 1.0
        assert each.ratio >= needed, each.line()


def test_decoding_against_torchvision(measured):
    for each in measured(measure_decoding("torchvision", CPU)):
        if each.case == "trained-like maps" and each.work["people"] == 100:
            assert each.ratio >= 6.0, each.line()


@pytest.mark.parametrize(
    ("switches", "needed"), [({}, 1.2), ({"dtype": "bf16"}, 2.0)], ids=["float32", "bf16"]
)
def test_whole_inference(measured, monkeypatch, switches, needed):
    case = inference_speed.Case("20 people", switches)
    monkeypatch.setattr(inference_speed, "_ON_A_CPU", (case,))
    (result,) = measured(measure_inference("detectron2", CPU))
    assert result.ratio >= needed, result.line()


def test_evaluation(measured, monkeypatch):
    monkeypatch.setattr(evaluation_speed, "PHOTOS", (5000,))
    by_pycocotools, *by_compiled = measured(measure_evaluation("detectron2", CPU))
    assert by_pycocotools.ratio >= 15, by_pycocotools.line()
    assert all(each.ratio >= 7 for each in by_compiled)


def test_startup(measured):
    (result,) = measured(measure_startup("detectron2", CPU))
    # equal: six pairs of whole processes gave medians from 0.89 to 1.07
    assert result.ratio >= 0.85, result.line()
