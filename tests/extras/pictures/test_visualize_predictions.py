from pathlib import Path

import cv2
import pytest
import torch
from helpers.repository import load_tool

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.extras.pictures.comparison import titles_of

CONFIG = "configs/quick/synthetic.py"
PHOTOS = "dataloader.test.dataset.names=synthetic_demo_val_5"


@pytest.fixture(scope="module")
def tool():
    return load_tool("visualize_predictions")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        model = PoseTrainer.build_model(load_config(CONFIG, ["train.device=cpu"]))
        PoseCheckpointer(model, str(folder)).save(name)
    return str(folder / "first.pth"), str(folder / "second.pth")


def run(tool, weights: tuple[str, ...], output: Path, *more: str) -> int:
    arguments = ["--config-file", CONFIG, "--weights", *weights, "--output", str(output)]
    return tool.main([*arguments, "--count", "2", *more])


@pytest.mark.integration
def test_one_panel_more_for_each_model_and_heatmap(tool, weights, tmp_path):
    answers = "train.inference.test_time.temperature=1.0"
    threshold = ("--score-threshold", "0.3")
    assert run(tool, weights[:1], tmp_path / "one", PHOTOS) == 0
    assert run(tool, weights, tmp_path / "two", *threshold, PHOTOS, answers) == 0
    assert run(tool, weights, tmp_path / "all", *threshold, "--heatmap", "nose", PHOTOS) == 0
    widths = {}
    for name in ("one", "two", "all"):
        files = sorted((tmp_path / name).iterdir())
        assert len(files) == 2
        widths[name] = cv2.imread(str(files[0])).shape[1]
    assert widths["two"] == pytest.approx(1.5 * widths["one"], rel=0.05)
    assert widths["all"] == pytest.approx(2.5 * widths["one"], rel=0.05)


def test_overrides_may_follow_the_weights(tool, weights, tmp_path):
    arguments = ["--config-file", CONFIG, "--output", str(tmp_path), "--count", "1"]
    assert tool.main([*arguments, "--weights", weights[0], PHOTOS, "train.device=cpu"]) == 0
    (drawn,) = tmp_path.glob("*.png")
    assert cv2.imread(str(drawn)).any()


def test_titles_tell_checkpoints_apart():
    assert titles_of(["a/model_final.pth"]) == {"prediction": "a/model_final.pth"}
    titles = titles_of(["run/a/model_final.pth", "run/b/model_final.pth"])
    assert list(titles) == ["a/model_final", "b/model_final"]
    assert list(titles_of(["run/model.pth", "run/model.pkl"])) == ["run/model.pth", "run/model.pkl"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--heatmap", "tentacle"), "no keypoint 'tentacle'; there are nose, "),
        (("--count", "0"), "--count must be at least 1"),
        (("--scale", "99"), "--scale must be"),
        (("model.nothing=1",), "no key model.nothing"),
    ],
)
def test_wrong_input(tool, weights, tmp_path, capsys, more, message):
    assert run(tool, weights[:1], tmp_path / "out", *more) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ") and message in lines[-1]
    assert not (tmp_path / "out").exists()


def test_refuses_a_file_as_output_and_weights_that_are_missing(tool, weights, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    assert run(tool, weights[:1], file) == 2
    assert "is a file" in capsys.readouterr().err
    assert run(tool, (str(tmp_path / "none.pth"),), tmp_path / "out") == 2
    assert "no weights at" in capsys.readouterr().err
    assert run(tool, weights[:1] * 2, tmp_path / "out") == 2
    assert "twice" in capsys.readouterr().err
