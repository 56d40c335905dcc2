"""Runs that are killed, checkpoints that are damaged, memory that is watched.

Runs go through the command line, in processes of their own, as users start them.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose_project.checkpoint import PoseCheckpointer
from pose_project.utils.provenance import sha256_of

# A run of seconds: few and small photos, a narrow model, a checkpoint every other iteration.
TINY_RUN = [
    "dataloader.train.dataset.names=synthetic_demo_train_12",
    "dataloader.test.dataset.names=synthetic_demo_val_4",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.mapper.augmentations.0.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "train.visualizations=0",
    "train.report=False",
    "train.device=cpu",
]
_TIMINGS = ("time", "data_time")


def survive_kills(command: list[str], folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill a run with SIGKILL at random moments, resume it each time, compare it with a whole run.

    Args:
        command: of ``tools/train_net.py`` with its config; settings and folder are added.
        folder: for both runs.
        kills: how many; a checkpoint is written every second iteration, so many hit a write.
        seed: of the moments.

    Returns:
        ``kills``; ``rows_equal`` and ``weights_equal``: whether metrics and final weights are
        those of the run that was not killed, bit for bit.
    """
    settings = [*TINY_RUN, "train.max_iter=60", "train.log_period=1", "train.checkpointer.period=2"]
    whole, broken = folder / "whole", folder / "broken"
    run = [*command, "--resume", *settings]
    subprocess.run([*run, f"train.output_dir={whole}"], check=True, capture_output=True)
    moments = random.Random(seed)
    done = 0
    while done < kills:
        process = _start([*run, f"train.output_dir={broken}"])
        before = _count_rows(broken)
        while process.poll() is None and _count_rows(broken) <= before:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.4))
        if process.poll() is not None:
            break  # the run was faster than the kills: it is complete
        process.send_signal(signal.SIGKILL)
        process.wait()
        done += 1
    subprocess.run([*run, f"train.output_dir={broken}"], check=True, capture_output=True)
    weights = [torch.load(each / "model_final.pth")["model"] for each in (whole, broken)]
    return {
        "kills": done,
        "rows_equal": _rows(whole) == _rows(broken),
        "weights_equal": all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0]),
    }


def damage_checkpoints(folder: Path, tries: int, seed: int) -> dict[str, int]:
    """Damage the newest of two checkpoints at random; count how often the older one is taken.

    Returns:
        ``tries`` and ``fell_back``.
    """
    checkpointer = PoseCheckpointer(torch.nn.Linear(8, 8), str(folder))
    for iteration in (1, 2):
        checkpointer.save(f"model_{iteration:07d}", iteration=iteration)
    older, newest = (folder / f"model_{iteration:07d}.pth" for iteration in (1, 2))
    intact = newest.read_bytes()
    rng = random.Random(seed)
    fell_back = 0
    for _ in range(tries):
        damaged = bytearray(intact)
        if rng.random() < 0.5:
            damaged = damaged[: rng.randrange(len(damaged))]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        newest.write_bytes(damaged)
        fell_back += checkpointer.newest_intact() == older
    newest.write_bytes(intact)
    note = json.loads(newest.with_suffix(".json").read_text(encoding="utf-8"))
    assert sha256_of(newest) == note["sha256"]
    return {"tries": tries, "fell_back": fell_back}


def memory_slope(command: list[str], folder: Path, iterations: int) -> dict[str, float]:
    """Train and return how fast resident memory grows once it has settled (Linux).

    Returns:
        ``iterations``; ``mb_per_1000``: slope of a line through the samples of the second half, in
        MB per 1,000 iterations; ``mb_at_end``.
    """
    settings = [
        *TINY_RUN,
        f"train.max_iter={iterations}",
        "train.log_period=10",
        "train.checkpointer.period=0",
        f"train.output_dir={folder}",
    ]
    process = _start([*command, *settings])
    samples = []
    while process.poll() is None:
        done, resident = 10 * _count_rows(folder), _resident_mb(process.pid)
        if resident and done > iterations / 2:
            samples.append((done, resident))
        time.sleep(0.1)
    # the evaluation at the end is not training
    inside = np.array([sample for sample in samples if sample[0] < iterations])
    slope = np.polyfit(inside[:, 0], inside[:, 1], 1)[0] * 1000
    return {
        "iterations": iterations,
        "mb_per_1000": round(float(slope), 2),
        "mb_at_end": round(float(inside[-1, 1])),
    }


def fuzz(tests: Path, variable: str, cases: int) -> dict[str, Any]:
    """Run fuzz tests with ``cases`` cases each.

    Args:
        tests: a file of them.
        variable: of the environment, by which they learn the number.
        cases: the number.

    Returns:
        ``cases``; ``passed``: whether none ended in anything but one error; pytest's ``summary``.
    """
    command = [sys.executable, "-m", "pytest", "-q", str(tests), "-p", "no:cacheprovider"]
    done = subprocess.run(["env", f"{variable}={cases}", *command], capture_output=True, text=True)
    return {"cases": cases, "passed": done.returncode == 0, "summary": done.stdout.splitlines()[-1]}


def _start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.json").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in _TIMINGS} for line in lines]


def _count_rows(folder: Path) -> int:
    path = folder / "metrics.json"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError):
        return 0.0  # it has just ended
    return pages * 4096 / 2**20
