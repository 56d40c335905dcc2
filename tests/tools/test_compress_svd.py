"""The tool as its users call it."""

import json
from pathlib import Path

import pytest
import torch
from helpers.repository import ROOT, load_tool
from helpers.runs import TINY_RUN
from PIL import Image

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.utils.provenance import sha256_of

CONFIG = str(ROOT / "configs/quick/synthetic.py")
SMALL = [
    *TINY_RUN,
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "model.roi_heads.box_head.fc_dims=[48,32]",
    "model.roi_heads.box_predictor.input_shape.channels=32",
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A model with random weights."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = PoseTrainer.build_model(load_config(CONFIG, SMALL))
    PoseCheckpointer(model, str(folder)).save("model_final")
    return folder / "model_final.pth"


def compress(weights, output, *arguments, rank="8", config=CONFIG, overrides=SMALL) -> int:
    command = ["--config-file", config, "--weights", str(weights), "--output", str(output)]
    return load_tool("compress_svd").main([*command, "--rank", rank, *arguments, *overrides])


@pytest.mark.integration
def test_a_survey_and_what_it_writes(weights, tmp_path, capsys):
    before = sha256_of(weights)
    output = tmp_path / "new/compact.pth"
    assert compress(weights, output, rank="16,4,20:10,16") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["rank", "none", "20:10", "16", "4"]
    assert "bbox AP" in rows[0] and "keypoints AP" in rows[0]

    names = ["compact.json", "compact.png", "compact.pth", "compact.yaml"]
    assert sorted(path.name for path in output.parent.iterdir()) == names
    assert sha256_of(weights) == before
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["sha256"] == sha256_of(output)
    assert record["compressed_from"] == str(weights)
    assert [each["ranks"] for each in record["figures"]] == [[], [16, 16], [4, 4], [20, 10]]
    original, *split = record["figures"]
    assert original["parameters"] == 3136 * 48 + 48 + 48 * 32 + 32
    for each, (first, second) in zip(split, [(16, 16), (4, 4), (20, 10)], strict=True):
        products = first * (3136 + 48) + second * (48 + 32)
        assert each["parameters"] == products + 48 + 32
        assert each["multiply_adds"] == products
        assert all(0 < share < 1 for share in each["energy"])
    width, height = Image.open(output.with_suffix(".png")).size
    assert width > 2 * height

    config = str(output.with_suffix(".yaml"))  # names its weights itself
    folder = f"train.output_dir={tmp_path}/evaluation"
    assert load_tool("train_net").main(["--config-file", config, "--eval-only", folder]) == 0
    assert load_config(config).model.roi_heads.box_head.ranks == [16, 16]


def test_without_evaluation(weights, tmp_path, capsys):
    assert compress(weights, tmp_path / "compact.pth", "--no-eval") == 0
    assert "AP" not in capsys.readouterr().out
    assert (tmp_path / "compact.png").exists()


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        ("0", "from 1 to 48"),
        ("-3", "from 1 to 48"),
        ("49", "from 1 to 48"),
        ("8,40", "a layer of 48 inputs and 32 outputs; it must be a whole number from 1 to 32"),
        ("8:8:8", "has 2 fully connected layers"),
        ("eight", "'eight' is not a rank"),
        ("8,", "'' is not a rank"),
        ("", "'' is not a rank"),
    ],
)
def test_wrong_ranks(weights, tmp_path, capsys, rank, message):
    output = tmp_path / "new/compact.pth"
    command = ["--config-file", CONFIG, "--weights", str(weights), "--output", str(output)]
    assert load_tool("compress_svd").main([*command, f"--rank={rank}", *SMALL]) == 2
    assert_one_line(capsys, message)
    assert not output.parent.exists()


def test_wrong_weights(weights, tmp_path, capsys):
    output = tmp_path / "new/compact.pth"
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(weights.read_bytes()[:10_000])
    other = tmp_path / "other.pth"
    torch.save({"model": {"fc.weight": torch.zeros(3, 3)}}, other)
    not_finite = tmp_path / "not_finite.pth"
    content = torch.load(weights)
    content["model"]["roi_heads.box_head.fc1.weight"][0, 0] = float("nan")
    torch.save(content, not_finite)
    for path, message in (
        (truncated, "truncated.pth is not a readable checkpoint"),
        (other, "the weights do not fit this model"),
        (not_finite, "infinite or NaN"),
        (tmp_path / "nowhere.pth", "no weights at"),
    ):
        assert compress(path, output) == 2
        assert_one_line(capsys, message)
    assert not output.parent.exists()


def test_wrong_outputs(weights, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    kept = sha256_of(weights)
    (tmp_path / "file").touch()
    for output, message in (
        (tmp_path / "file/compact.pth", "is not a folder that can be written to"),
        (tmp_path / "compact.pkl", "must be a file that ends with .pth"),
        (weights, "model_final.pth would be replaced"),
    ):
        assert compress(weights, output) == 2
        assert_one_line(capsys, message)
    assert sorted(tmp_path.iterdir()) == [*before, tmp_path / "file"]
    assert sha256_of(weights) == kept


def test_its_own_config_is_not_replaced_and_not_split_twice(weights, tmp_path, capsys):
    output = tmp_path / "compact.pth"
    assert compress(weights, output, "--no-eval") == 0
    config = str(tmp_path / "compact.yaml")
    capsys.readouterr()
    assert compress(weights, output, config=config, overrides=[]) == 2
    assert_one_line(capsys, "compact.yaml would be replaced")
    assert compress(output, tmp_path / "twice.pth", config=config, overrides=[]) == 2
    assert_one_line(capsys, "split already")
    assert not (tmp_path / "twice.pth").exists()


def assert_one_line(capsys, message: str) -> None:
    captured = capsys.readouterr()
    (line,) = [each for each in captured.err.splitlines() if each.startswith("error: ")]
    assert message in line
    assert "Traceback" not in captured.err + captured.out
