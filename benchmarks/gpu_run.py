"""Everything that only a GPU can prove or time, in parts that a run is made of.

Each part yields its record as it grows, so that a stop loses nothing.
"""

import json
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy import measure_accuracy
from benchmarks.compare import Comparison
from benchmarks.decoding_speed import measure_decoding
from benchmarks.gpu_counts import measure_counts
from benchmarks.inference_speed import measure_inference
from benchmarks.soak import TINY_RUN
from benchmarks.train_speed import measure_training
from pose_project.config.loading import load_config
from pose_project.utils.errors import PoseError

ROOT = Path(__file__).resolve().parents[1]
DEMO, R50 = "configs/quick/synthetic.py", "configs/quick/synthetic_R50.py"

_SECONDS = 1.0  # of pairs of runs for each comparison
_QUIET = ["train.report=False", "train.visualizations=0"]
_RESUMED_ITERATIONS, _CHECKPOINT_PERIOD = 40, 10

Record = dict[str, Any]


class PartError(PoseError):
    """A part has found a fault."""


@dataclass(frozen=True)
class Setup:
    """Where a part runs."""

    device: str
    work: Path
    """A folder that the parts share: ``accuracy`` takes the weights that ``demo`` leaves."""
    is_small: bool = False
    """A rehearsal: the same steps with tiny photos and models, in seconds on a CPU."""


def run_tests(setup: Setup) -> Iterator[Record]:
    """Run the tests that need a GPU; without one they are skipped."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    files = [str(each) for each in files if "pytest.mark.gpu" in each.read_text(encoding="utf-8")]
    report = setup.work / "tests.xml"
    command = ["-m", "pytest", "-q", "-m", "gpu", f"--junitxml={report}", "-p", "no:cacheprovider"]
    done = _run([*command, *files], check=False)
    if not report.exists():
        raise PartError(f"pytest wrote no report: {done.stdout[-500:]} {done.stderr[-500:]}")
    cases = list(ElementTree.parse(report).iter("testcase"))
    outcomes = [{child.tag for child in case} for case in cases]
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case, tags in zip(cases, outcomes, strict=True)
        if tags & {"failure", "error"}
    ]
    skipped = sum("skipped" in tags for tags in outcomes)
    passed = len(cases) - skipped - len(failed)
    yield {"passed": passed, "skipped": skipped, "failed": failed}
    if failed:
        raise PartError(f"{len(failed)} tests failed: {done.stdout[-2000:]}")


def run_counts(setup: Setup) -> Iterator[Record]:
    """Count waits and kernels of a photo and of a training step."""
    rows = []
    for row in measure_counts(torch.device(setup.device), 96 if setup.is_small else 800):
        rows.append(row)
        yield {"rows": rows}


def run_benchmark(setup: Setup) -> Iterator[Record]:
    """Decode, look at photos and train against Detectron2 and torchvision."""
    measured: list[Record] = []
    failed: list[str] = []
    device = torch.device(setup.device)
    for measure, peer in (
        (measure_decoding, "detectron2"),
        (measure_inference, "detectron2"),
        (measure_inference, "torchvision"),
        (measure_training, "detectron2"),
    ):
        for comparison in measure(peer, device, 0.0 if setup.is_small else _SECONDS):
            print(comparison.line(), flush=True)
            measured.append({"task": measure.__name__, **comparison.record()})
            failed += [] if comparison.is_same else [comparison.line()]
            yield {"comparisons": measured}
    if failed:
        raise PartError("outputs differ by more than the bound: " + "; ".join(failed))


def run_demo(setup: Setup) -> Iterator[Record]:
    """Train the demo's model to its AP."""
    settings = [] if setup.is_small else ["dataloader.train.num_workers=8"]
    yield _train(setup, DEMO, "demo", settings)


def run_accuracy(setup: Setup) -> Iterator[Record]:
    """Judge each precision by the AP of the demo's model."""
    weights = setup.work / "demo/model_final.pth"
    if not weights.exists():
        raise PartError(f"no weights at {weights}; the part demo makes them")
    settings = [f"train.init_checkpoint={weights}", f"train.device={setup.device}"]
    comparisons: list[Comparison] = []
    cfg = load_config(str(ROOT / DEMO), [*_tiny(setup, DEMO), *settings])
    for comparison in measure_accuracy(cfg, torch.device(setup.device)):
        comparisons.append(comparison)
        yield {"comparisons": [each.record() for each in comparisons]}
    if not all(each.is_same for each in comparisons):
        raise PartError("an AP differs by more than the bound")


def run_resume(setup: Setup) -> Iterator[Record]:
    """Kill a run with SIGKILL, resume it, and compare its losses with those of a whole run.

    The kernels of a GPU add in any order, so the losses are close, not equal.
    """
    settings = [
        *TINY_RUN[:5],  # photos; the model stays whole
        *(TINY_RUN[5:7] if setup.is_small else []),
        *_QUIET,
        f"train.device={setup.device}",
        f"train.max_iter={_RESUMED_ITERATIONS}",
        "train.log_period=1",
        f"train.checkpointer.period={_CHECKPOINT_PERIOD}",
    ]
    command = [sys.executable, str(ROOT / "tools/train_net.py"), "--config-file", str(ROOT / DEMO)]
    whole, broken = setup.work / "whole", setup.work / "broken"
    _run([*command[1:], *settings, f"train.output_dir={whole}"])
    killed = [*command, "--resume", *settings, f"train.output_dir={broken}"]
    process = subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(_rows(broken)) < _RESUMED_ITERATIONS // 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    record = {"iterations": _RESUMED_ITERATIONS, "killed_after": len(_rows(broken))}
    yield record
    _run(killed[1:])
    losses = [[each["total_loss"] for each in _rows(folder)] for folder in (whole, broken)]
    if [len(each) for each in losses] != 2 * [_RESUMED_ITERATIONS]:
        raise PartError(f"rows of metrics.json: {[len(each) for each in losses]}")
    apart = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    yield {**record, "losses_apart": apart}
    if not apart < 0.2:
        raise PartError(f"the losses of the resumed run are {apart:.3f} apart")


def run_r50(setup: Setup) -> Iterator[Record]:
    """Train the R50-FPN model from scratch to an AP."""
    yield _train(setup, R50, "r50", [])


PARTS: dict[str, Callable[[Setup], Iterator[Record]]] = {
    "tests": run_tests,
    "counts": run_counts,
    "resume": run_resume,
    "demo": run_demo,
    "accuracy": run_accuracy,
    "benchmark": run_benchmark,
    "r50": run_r50,
}


def _train(setup: Setup, config: str, name: str, settings: list[str]) -> Record:
    """Train and return iterations, seconds and AP."""
    folder = setup.work / name
    settings = [*_tiny(setup, config), *settings, *_QUIET, f"train.device={setup.device}"]
    command = [str(ROOT / "tools/train_net.py"), "--config-file", str(ROOT / config), *settings]
    start = time.perf_counter()
    _run([*command, f"train.output_dir={folder}"])
    seconds = time.perf_counter() - start
    rows = _rows(folder)
    ap = {name: rows[-1].get(f"{name}/AP") for name in ("bbox", "keypoints")}
    steps = [each["time"] for each in rows if "time" in each]
    return {
        "config": config,
        "settings": settings,
        "iterations": rows[-1]["iteration"] + 1,
        "seconds": round(seconds, 1),
        "seconds_per_iteration": round(sorted(steps)[len(steps) // 2], 4) if steps else None,
        "AP": ap,
    }


def _tiny(setup: Setup, config: str) -> list[str]:
    """Return the settings of a rehearsal; none of a real run."""
    if not setup.is_small:
        return []
    narrow = [] if config == DEMO else ["dataloader.train.num_workers=0"]
    widths = TINY_RUN[5:7] if config == DEMO else []
    return [*TINY_RUN[:5], *widths, *narrow, "train.max_iter=2", "train.log_period=1"]


def _rows(folder: Path) -> list[Record]:
    path = folder / "metrics.json"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _run(arguments: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise PartError(f"{Path(arguments[0]).name} failed: {(done.stdout + done.stderr)[-1500:]}")
    return done
