"""Processes that die or freeze under torchrun: who is named, and how the run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.repository import ROOT
from helpers.runs import TINY_RUN

pytestmark = pytest.mark.integration

SETTINGS = [*TINY_RUN, "train.log_period=1", "train.checkpointer.period=2", "train.max_iter=14"]


def start(folder: Path, *settings: str, restarts: int) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "--max-restarts", str(restarts)),
            *(str(ROOT / "tools/train_net.py"), "--config-file"),
            *(str(ROOT / "configs/quick/synthetic.py"), *SETTINGS, *settings),
            f"train.output_dir={folder}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def worker(agent: subprocess.Popen, rank: int) -> int:
    """Return the process number of a worker, which torchrun tells in its environment."""
    for line in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split():
        environment = Path(f"/proc/{line}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in environment:
            return int(line)
    raise AssertionError(f"no process with RANK={rank}")


def wait_for_rows(folder: Path, wanted: int, agent: subprocess.Popen) -> None:
    deadline = time.monotonic() + 180
    metrics = folder / "metrics.json"
    while not metrics.exists() or metrics.read_text().count("\n") < wanted:
        assert time.monotonic() < deadline and agent.poll() is None
        time.sleep(0.02)


def finish(agent: subprocess.Popen) -> str:
    return agent.communicate(timeout=300)[0]


def rows(folder: Path) -> list[dict]:
    timings = ("time", "data_time")
    lines = (folder / "metrics.json").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timings} for line in lines]


def test_a_killed_worker_restarts_and_ends_with_the_right_result(tmp_path):
    whole = start(tmp_path / "whole", restarts=0)
    output = finish(whole)
    assert whole.returncode == 0, output[-3000:]
    broken = start(tmp_path / "broken", restarts=1)
    wait_for_rows(tmp_path / "broken", 6, broken)
    os.kill(worker(broken, rank=1), signal.SIGKILL)
    output = finish(broken)
    assert broken.returncode == 0, output[-3000:]
    assert "Resuming from" in output
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
    weights = [
        torch.load(tmp_path / name / "model_final.pth")["model"] for name in ("whole", "broken")
    ]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_a_frozen_process_is_named_and_the_last_checkpoint_stays(tmp_path):
    agent = start(tmp_path / "run", "train.stall_timeout=10", restarts=0)
    wait_for_rows(tmp_path / "run", 6, agent)
    frozen = worker(agent, rank=1)
    os.kill(frozen, signal.SIGSTOP)
    try:
        output = finish(agent)
    finally:
        if Path(f"/proc/{frozen}").exists():
            os.kill(frozen, signal.SIGKILL)
    assert agent.returncode == 1
    assert f"pid {frozen}) does not answer" in output
    assert "error: no process has moved" in output
    assert "process 1 (" in output
    assert (tmp_path / "run" / "last_checkpoint").exists()
