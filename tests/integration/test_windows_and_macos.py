"""What is different on Windows and macOS, as far as Linux can play it.

Workers are spawned, not forked; open files are neither replaced nor removed; some signs are not
allowed in names; some signals do not exist.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.annotations import person
from helpers.repository import ROOT
from helpers.runs import CONFIG, EVERYTHING, TINY
from helpers.windows import check_name, refusals_of_windows

from pose_project.commands.command_line import main
from pose_project.utils.errors import TrainingInterrupted

pytestmark = pytest.mark.integration

# As a tool of tools/ is started, but with Python's default of these systems and without fork.
SPAWNING = """
import multiprocessing, os, runpy, sys
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    del os.fork, os.forkpty
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def spawn(tool: str, *arguments: str, folder: Path) -> str:
    """Run a tool without fork; return what it said."""
    script = folder / "spawning.py"
    script.write_text(SPAWNING, encoding="utf-8")
    command = [sys.executable, str(script), str(ROOT / "tools" / f"{tool}.py"), *arguments]
    # one thread, as in the tests themselves: more sum up in another order
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def losses(run: Path) -> list[float]:
    rows = (run / "metrics.json").read_text(encoding="utf-8").splitlines()
    return [row["total_loss"] for row in map(json.loads, rows) if "total_loss" in row]


def test_spawned_workers_load_the_same_photos(start, tmp_path):
    """Training with loaders in processes of their own, evaluation, then prediction."""
    start("dataloader.train.num_workers=0").train()
    run = tmp_path / "spawned"
    workers = ["dataloader.train.num_workers=2", "dataloader.test.num_workers=1"]
    config = ["--config-file", str(ROOT / CONFIG)]
    overrides = [*TINY, *workers, f"train.output_dir={run}"]
    said = spawn("train_net", *config, *overrides, folder=tmp_path)
    assert "Average Precision" in said
    assert losses(run) == losses(tmp_path / "run") and len(losses(run)) == 6

    (photos,) = Path(os.environ["POSE_PROJECT_CACHE"]).glob("synthetic_demo_val_5_*/val2017")
    found = tmp_path / "found"
    options = ["--model", str(run), "--output", str(found), "--no-draw"]
    spawn("predict", *options, "--input", str(photos), folder=tmp_path)
    assert len(list((found / "parts").rglob("*.jpg.json"))) == 5


def test_photos_are_made_by_spawned_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(tmp_path / "cache"))
    config = ["--config-file", str(ROOT / CONFIG), *TINY]
    more = ["dataloader.train.dataset.names=synthetic_demo_train_48", "train.output_dir=none"]
    spawn("visualize_data", *config, "--output", "drawn", *more, folder=tmp_path)
    (photos,) = tmp_path.glob("cache/synthetic_demo_train_48_*/train2017")
    assert len(list(photos.iterdir())) == 48


def test_nothing_that_is_open_is_replaced_and_all_names_are_allowed(
    start, tmp_path, write_dataset, monkeypatch, weights
):
    """A run, its resumption, prediction, shards and the doctor, with the refusals of Windows."""
    json_file, photos = write_dataset([person(image_id=1)], sizes_hw=((64, 80),) * 3)
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(tmp_path / "cache"))
    model = ["--config-file", str(ROOT / CONFIG), "--weights", str(weights)]
    predict = ["predict", *model, "--device", "cpu"]
    with refusals_of_windows(tmp_path):
        interrupted = start("train.report=True", "train.visualizations=2")
        run_step = interrupted.run_step

        def stopped() -> None:
            if interrupted.iter == 3:
                signal.raise_signal(signal.SIGINT)
            run_step()

        interrupted.run_step = stopped
        with pytest.raises(TrainingInterrupted):
            interrupted.train()
        start("train.report=True", "train.visualizations=2", resume=True).train()
        out = ["--output", str(tmp_path / "found")]
        for _ in range(2):  # again: everything is there
            files = ["--save-json", "--save-csv"]
            assert main([*predict, str(photos), *out, *files, *EVERYTHING[1:]]) == 0
        assert main([*predict, str(photos / "1.png"), "--json", str(tmp_path / "f.json")]) == 0
        shards = tmp_path / "shards"
        command = ["shard", str(json_file), "--images", str(photos), "--output", str(shards)]
        assert main(command) == 0 and main(command) == 0
        assert main(["shard", "--check", str(shards)]) == 0
        assert main([*predict, str(shards), "--output", str(tmp_path / "of_shards")]) == 0
        address = f"file://{shards}"
        assert main([*predict, address, "--output", str(tmp_path / "of_address")]) == 0
        page = ["--html", str(tmp_path / "page"), "--fix", str(tmp_path / "fixed.json")]
        assert main(["doctor", str(json_file), "--images", str(photos), *page]) in (0, 1, 2)
    written = list(tmp_path.rglob("*"))
    assert len(written) > 40
    for path in written:
        check_name(path)


def test_training_starts_where_there_is_no_sigterm(start, tmp_path, monkeypatch):
    monkeypatch.delattr(signal, "SIGTERM")
    start().train()
    assert (tmp_path / "run" / "model_final.pth").exists()


def test_the_refusals_are_real(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("x", encoding="utf-8")
    with refusals_of_windows(tmp_path):
        with open(file, encoding="utf-8") as stream:
            with pytest.raises(PermissionError, match="is open"):
                os.replace(file, tmp_path / "b.txt")
            with pytest.raises(PermissionError, match="is open"):
                file.unlink()
            with pytest.raises(OSError, match="sync"):
                os.fsync(stream.fileno())
        for name in ("a:b", "what?", "aux.txt", "end.", "a\\b"):
            with pytest.raises(OSError, match="the name"):
                (tmp_path / name).mkdir()
        file.rename(tmp_path / "b.txt")
