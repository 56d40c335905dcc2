"""Whole runs through the command line, as users start them."""

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

from benchmarks.soak import survive_kills

pytestmark = pytest.mark.integration

TINY = [*TINY_RUN, "train.log_period=1", "train.checkpointer.period=3"]


def command(folder: Path, *arguments: str, config: str = "configs/quick/synthetic.py") -> list[str]:
    tool = [sys.executable, str(ROOT / "tools/train_net.py"), "--config-file", str(ROOT / config)]
    return [*tool, *arguments, f"train.output_dir={folder}"]


def run(folder: Path, *arguments: str, **changes) -> str:
    environment = {**os.environ, **changes.pop("environment", {})}
    done = subprocess.run(
        command(folder, *arguments, **changes), capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def rows(folder: Path) -> list[dict]:
    timings = ("time", "data_time")
    lines = (folder / "metrics.json").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timings} for line in lines]


def table(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("| Average")]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_and_resumed_is_as_if_nothing_had_happened(tmp_path, num_workers):
    """SIGKILL at several moments; losses, tables and weights equal the uninterrupted run's."""
    settings = [*TINY, "train.max_iter=12", f"dataloader.train.num_workers={num_workers}"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = run(whole, *settings)
    for wanted_rows in (2, 5, 8):
        process = subprocess.Popen(
            command(broken, "--resume", *settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        metrics = broken / "metrics.json"
        while not metrics.exists() or metrics.read_text().count("\n") < wanted_rows:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    actual = run(broken, "--resume", *settings)
    assert table(actual) == table(expected)
    assert rows(broken) == rows(whole)
    weights = [torch.load(folder / "model_final.pth")["model"] for folder in (whole, broken)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_twenty_kills_at_random_moments(tmp_path):
    """Many hit a checkpoint while it is written; all of it ends as the run that was left alone."""
    result = survive_kills(command(tmp_path)[:-1], tmp_path, kills=20, seed=1)
    assert result == {"kills": 20, "rows_equal": True, "weights_equal": True}


def test_evaluation_of_a_checkpoint_prints_the_tables_of_its_run(tmp_path):
    trained = run(tmp_path / "run", *TINY, "train.max_iter=3")
    weights = f"train.init_checkpoint={tmp_path}/run/model_final.pth"
    evaluated = run(tmp_path / "evaluation", "--eval-only", *TINY, weights)
    assert len(table(trained)) == 22
    assert table(evaluated) == table(trained)


def test_real_coco_photos(test_data, tmp_path):
    folder = tmp_path / "coco"
    run(
        folder,
        "train.max_iter=30",
        "train.log_period=1",
        "train.device=cpu",
        config="configs/quick/coco_tiny.py",
        environment={"DETECTRON2_DATASETS": str(test_data)},
    )
    losses = [row["loss_keypoint"] for row in rows(folder)]
    assert sum(losses[-5:]) < sum(losses[:5])
    assert len(list((folder / "visualizations").glob("*.png"))) == 12


def test_the_wheel_of_detectron2_is_pure_python(tmp_path):
    subprocess.run(
        [sys.executable, str(ROOT / "tools/install_detectron2.py"), "--wheel-dir", str(tmp_path)],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
