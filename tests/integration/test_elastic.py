"""Processes that die or freeze under torchrun: who is named, and how the run goes on."""

import json
import os
import signal
import socket
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


def start_machine(folder: Path, address: str, port: int, log: Path) -> subprocess.Popen:
    """Start one of two machines, at an address of the loopback; it writes into a file."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"),
            *("--nproc-per-node", "1", "--max-restarts", "3", "--local-addr", address),
            *("--rdzv-backend", "c10d", "--rdzv-id", "pose"),
            *("--rdzv-endpoint", f"127.0.0.1:{port}"),
            # each of them could be the one of the endpoint, since both are this machine
            *("--rdzv-conf", f"is_host={address == '127.0.0.1'}"),
            *(str(ROOT / "tools/train_net.py"), "--resume", "--config-file"),
            *(str(ROOT / "configs/quick/synthetic.py"), *SETTINGS),
            f"train.output_dir={folder}",
        ],
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
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
    assert_same_end(tmp_path / "whole", tmp_path / "broken")


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


def test_a_machine_that_is_lost_and_comes_back_ends_with_the_right_result(tmp_path):
    """Two addresses, a rendezvous over TCP; one machine, torchrun included, is killed."""
    whole = start(tmp_path / "whole", restarts=0)
    output = finish(whole)
    assert whole.returncode == 0, output[-3000:]
    port, broken = free_port(), tmp_path / "broken"
    first = start_machine(broken, "127.0.0.1", port, tmp_path / "first.log")
    second = start_machine(broken, "127.0.0.2", port, tmp_path / "lost.log")
    try:
        wait_for_rows(broken, 6, first)
        lost = only_worker(second)
        for process in (second.pid, lost):
            os.kill(process, signal.SIGKILL)
        second.wait()
        second = start_machine(broken, "127.0.0.2", port, tmp_path / "second.log")
        codes = [agent.wait(timeout=300) for agent in (first, second)]
    finally:
        for agent in (first, second):
            agent.kill()
    logs = [(tmp_path / name).read_text() for name in ("first.log", "second.log")]
    assert codes == [0, 0], logs
    assert "Resuming from" in logs[0]
    assert_same_end(tmp_path / "whole", broken)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def only_worker(agent: subprocess.Popen) -> int:
    """Return the process number of the training process that a torchrun has started."""
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    commands = {int(each): Path(f"/proc/{each}/cmdline").read_bytes() for each in children}
    (number,) = [each for each, command in commands.items() if b"train_net" in command]
    return number


def assert_same_end(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    weights = [torch.load(folder / "model_final.pth")["model"] for folder in (one, other)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
