"""The core trains, evaluates, predicts and draws where every extra was removed."""

from pathlib import Path

import cv2
import pytest
from helpers.runs import CONFIG, TINY

from pose_project.commands import command_line
from pose_project.data import resolve_dataset
from pose_project.utils import extras

pytestmark = pytest.mark.integration


@pytest.fixture
def without_extras(monkeypatch) -> None:
    for name in ("synthetic_demo_train_12", "synthetic_demo_val_5"):
        resolve_dataset(name)  # an extra makes the photos
    monkeypatch.setattr(extras, "EXTRAS", "pose_project.nothing")


def test_the_core_alone(without_extras, tmp_path):
    small = ["train.max_iter=2", "train.report=True", "train.visualizations=2"]
    run = ["--config-file", CONFIG, *TINY, *small, f"train.output_dir={tmp_path / 'run'}"]
    assert command_line.main(["train", *run]) == 0
    written = {each.name for each in (tmp_path / "run").iterdir()}
    assert {"model_final.pth", "metrics.json", "inference"} <= written
    assert not written & {"training_curves.png", "visualizations", "report"}
    log = (tmp_path / "run/log.txt").read_text()
    assert "No report: pose_project/extras/report is not here" in log

    photo = next(Path(resolve_dataset("synthetic_demo_val_5").image_root).iterdir())
    model = ["--config-file", CONFIG, "--weights", str(tmp_path / "run/model_final.pth"), *TINY]
    output = ["--output", str(tmp_path / "out")]
    assert command_line.main(["predict", *model, "--input", str(photo), *output]) == 0
    assert cv2.imread(str(tmp_path / "out/drawn" / photo.name)) is not None


def test_what_needs_an_extra_says_so(without_extras, tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(b"")
    files = ["--weights", "nowhere.pth", "--input", str(tmp_path), "--output", str(tmp_path / "o")]
    assert command_line.main(["predict", "--config-file", CONFIG, *files]) == 2
    assert capsys.readouterr().err == "error: videos need pose_project/extras/video\n"
