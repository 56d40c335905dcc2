"""The conversion as its users call it."""

import json

import pytest
import torch
from detectron2.config import instantiate
from helpers.repository import ROOT, load_tool
from helpers.torchvision_models import as_published, build_frozen_model
from torchvision.models import detection

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import load_config
from pose_project.utils.provenance import sha256_of

CONFIG = str(ROOT / "configs/torchvision_keypoint_rcnn_R50_FPN.py")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file in the form of the published weights, 17 keypoints."""
    with torch.device("meta"):
        model = detection.keypointrcnn_resnet50_fpn(weights_backbone=None)
    torch.manual_seed(0)
    weights = {name: torch.rand(value.shape) + 0.5 for name, value in model.state_dict().items()}
    path = tmp_path_factory.mktemp("torchvision") / "keypointrcnn.pth"
    torch.save(as_published(weights), path)
    return path


def convert(*arguments) -> int:
    return load_tool("convert_weights").main([str(each) for each in arguments])


@pytest.fixture
def refused(tmp_path, capsys):
    """Convert wrong input; check that it is one line and that nothing was written."""

    def check(*arguments, message: str, direction: str = "--from") -> None:
        output = tmp_path / "folder" / "output.pth"
        assert convert(direction, "torchvision", "--output", output, *arguments) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
        assert message in captured.err
        assert not output.parent.exists()

    return check


@pytest.mark.integration
def test_there_and_back(published, tmp_path, capsys):
    ours, back = tmp_path / "ours.pth", tmp_path / "back.pth"
    assert convert("--from", "torchvision", "--input", published, "--output", ours) == 0
    said = capsys.readouterr().out
    assert "313 tensors converted, 53 counters of BatchNorm dropped, none missing" in said
    record = json.loads((tmp_path / "ours.json").read_text())
    assert record["sha256"] == sha256_of(ours)
    assert record["source"] == {"file": "keypointrcnn.pth", "sha256": sha256_of(published)}
    assert record["conversion"]["bn_eps"] == 0
    assert record["conversion"]["converted"] == 313
    assert record["versions"]["torchvision"]

    model = instantiate(load_config(CONFIG).model)
    checkpointer = PoseCheckpointer(model, str(tmp_path / "run"))
    checkpointer.load(str(ours), complete=True)
    saved = torch.load(ours, weights_only=True)["model"]
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())

    checkpointer.save("model_final", iteration=3)  # what training leaves
    trained = tmp_path / "run/model_final.pth"
    eps = ("--bn-eps", "0")
    assert convert("--to", "torchvision", "--input", trained, "--output", back, *eps) == 0
    build_frozen_model(torch.load(back), bn_eps=0.0)
    original = torch.load(published)
    for name, value in as_published(torch.load(back)).items():
        start = 4 if "box_predictor.bbox_pred" in name else 0  # past the deltas of background
        assert torch.equal(value[start:], original[name][start:]), name


def test_damaged_or_missing_files(refused, published, tmp_path):
    refused("--input", tmp_path / "nowhere.pth", message="no weights at")
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(published.read_bytes()[:1_000_000])
    refused("--input", truncated, message="truncated.pth is not a readable checkpoint")
    (tmp_path / "empty.pth").write_bytes(b"")
    refused("--input", tmp_path / "empty.pth", message="empty.pth")
    torch.save({"model": 3}, tmp_path / "three.pth")
    refused("--input", tmp_path / "three.pth", message="holds a int, not a dict of weights")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (detection.maskrcnn_resnet50_fpn, "unknown (first: roi_heads.mask_head"),
        (detection.fasterrcnn_resnet50_fpn, "18 missing (first: roi_heads.keypoint_head"),
    ],
)
def test_another_family(refused, tmp_path, build, message):
    with torch.device("meta"):
        model = build(weights_backbone=None)
    weights = {
        name: torch.zeros(()).expand(value.shape) for name, value in model.state_dict().items()
    }
    torch.save(weights, tmp_path / "other.pth")
    refused("--input", tmp_path / "other.pth", message=message)
    refused("--input", tmp_path / "other.pth", message="unknown", direction="--to")


def test_wrong_arguments(refused, published, capsys, tmp_path):
    refused("--input", published, "--bn-eps", "-1", message="--bn-eps must be from 0 to 1")
    refused("--input", published, "--bn-eps", "nan", message="--bn-eps must be from 0 to 1")
    refused("--input", published, "--output", tmp_path / "a.pkl", message="must end in .pth")
    before = published.read_bytes()
    refused("--input", published, "--output", published, message="--output is the input")
    assert published.read_bytes() == before
    for direction in ((), ("--from", "torchvision", "--to", "torchvision"), ("--from", "caffe")):
        with pytest.raises(SystemExit) as stopped:
            convert(*direction, "--input", published, "--output", tmp_path / "a.pth")
        assert stopped.value.code == 2
    assert not list(tmp_path.glob("a.*"))
