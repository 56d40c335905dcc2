"""The comparisons themselves, at small sizes: that they run, agree, and notice what is wrong."""

from pathlib import Path

import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.data import transforms as T
from helpers.repository import load_tool

from benchmarks import (
    decoding_speed,
    evaluation_speed,
    loading_speed,
    measure_decoding,
    measure_evaluation,
    measure_loading,
)
from benchmarks.compare import peak_memory_mb
from benchmarks.decoding_speed import make_heatmaps
from benchmarks.report import write_report
from pose_project.modeling import decode_heatmaps
from pose_project.utils.errors import InputError

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    cases = {"noise": ("noise", 20, 60, (1, 4)), "trained": ("trained", 50, 90, (2,))}
    monkeypatch.setattr(decoding_speed, "_CASES", cases)
    monkeypatch.setattr(decoding_speed, "_SECONDS", 0.0)
    monkeypatch.setattr(evaluation_speed, "PHOTOS", (8, 16))
    monkeypatch.setattr(loading_speed, "_CASES", {"60x80": ((60, 80), 8)})
    monkeypatch.setattr(loading_speed, "_SOURCE", "synthetic_demo_val_5")
    monkeypatch.setattr(loading_speed, "_SECONDS", 0.0)
    monkeypatch.setattr(loading_speed, "_RUNS_PER_PHOTO", 1)
    resize_and_flip = [T.ResizeShortestEdge((64, 96), 200, "choice"), T.RandomFlip()]
    monkeypatch.setattr(loading_speed, "_augmentations", lambda: resize_and_flip)
    monkeypatch.setattr(evaluation_speed, "_SECONDS", 0.0)


@pytest.mark.parametrize(("peer", "differences"), [("detectron2", 3), ("torchvision", 2)])
def test_decoding(peer, differences):
    results = list(measure_decoding(peer, CPU))
    assert [each.work["people"] for each in results] == [1, 4, 2]
    assert all(each.is_same and len(each.differences) == differences for each in results)


def test_decoding_that_is_wrong_is_noticed(monkeypatch):
    ours = decoding_speed.decode_heatmaps
    monkeypatch.setattr(decoding_speed, "decode_heatmaps", lambda x, boxes: ours(x + 1e-2, boxes))
    assert not any(each.is_same for each in measure_decoding("detectron2", CPU))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is from /proc")
@pytest.mark.parametrize(
    ("kind", "count"), [("noise", 100), ("no patch can be ruled out", 3)], ids=["search", "whole"]
)
def test_memory_of_decoding_is_bounded(kind, count):
    """A hundred people as large as a photo: enlarged all at once they would take 7 GB."""
    logits = make_heatmaps("noise", count, torch.Generator().manual_seed(0))
    if kind != "noise":
        cells = torch.arange(56)
        logits = logits.sign_().abs_() * (((cells + cells[:, None]) % 2) * 2 - 1)
    boxes = torch.tensor([[0.0, 0.0, 1333.0, 800.0]]).expand(count, -1)
    _, megabytes = peak_memory_mb(lambda: decode_heatmaps(logits, boxes), CPU)
    assert megabytes < 300


def test_evaluation():
    results = list(measure_evaluation("detectron2", CPU))
    assert sorted({each.work["photos"] for each in results}) == [8, 16]
    assert all(each.is_same for each in results)
    assert evaluation_speed._DATASET not in DatasetCatalog.list()


def test_evaluation_that_is_wrong_is_noticed(monkeypatch):
    class Wrong(evaluation_speed.PoseEvaluator):
        def evaluate(self):
            results = super().evaluate()
            results["keypoints"]["AP"] += 1e-5
            return results

    monkeypatch.setattr(evaluation_speed, "PoseEvaluator", Wrong)
    for each in measure_evaluation("detectron2", CPU):
        assert [d.name for d in each.differences if not d.is_within] == ["keypoints, percent"]


def test_loading():
    mapper, loader = measure_loading("detectron2", CPU)
    assert mapper.is_same and loader.is_same
    assert (mapper.work, loader.work) == (
        {"photos": 8, "workers": 0},
        {"photos": 8, "workers": 1},
    )


@pytest.mark.parametrize(
    ("field", "shift", "name"),
    [
        ("image", 3, "mean of pixels, of 255"),
        ("gt_boxes", 2e-3, "boxes and keypoints, px"),
        ("gt_keypoints", 2e-3, "boxes and keypoints, px"),
    ],
)
def test_loading_that_is_wrong_is_noticed(monkeypatch, field, shift, name):
    class Wrong(loading_speed.KeypointMapper):
        def __call__(self, dataset_dict):
            output = super().__call__(dataset_dict)
            if field == "image":
                output["image"] = output["image"] // 2 + shift
            else:
                output["instances"].get(field).tensor.add_(shift)
            return output

    monkeypatch.setattr(loading_speed, "KeypointMapper", Wrong)
    mapper = next(measure_loading("detectron2", CPU))
    assert [d.name for d in mapper.differences if not d.is_within] == [name]


def test_tool_and_report(tmp_path, capsys):
    page, result = tmp_path / "docs" / "page.md", tmp_path / "docs" / "page" / "decode.json"
    tool = load_tool("benchmark")
    command = ["--task", "decode", "--json", str(result), "--report", str(page)]
    assert tool.main(command) == 0
    assert "noise, people=1" in capsys.readouterr().out
    written = page.read_text()
    assert "## decode against detectron2" in written and "4 people" in written
    assert (page.parent / "page" / "decode.png").stat().st_size > 1000
    result.write_text('{"task": "decode"}')
    with pytest.raises(InputError, match=r"decode\.json is not a result of"):
        write_report(page)
    assert page.read_text() == written


def test_tool_keeps_nothing_that_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decoding_speed, "decode_heatmaps", lambda x, boxes: torch.zeros(1, 17, 4))
    monkeypatch.setattr(decoding_speed, "_CASES", {"noise": ("noise", 20, 60, (1,))})
    result = tmp_path / "decode.json"
    assert load_tool("benchmark").main(["--task", "decode", "--json", str(result)]) == 1
    assert "outputs differ" in capsys.readouterr().err
    assert not result.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --task or --report"),
        (["--task", "eval", "--peer", "torchvision"], "torchvision has no peer for --task eval"),
        (["--task", "decode", "--json", "."], "is a folder"),
        (["--report", "nowhere/page.md"], "no JSON files in nowhere/page"),
    ],
)
def test_tool_refuses_wrong_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert load_tool("benchmark").main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_tool_refuses_a_device_that_is_not_there(capsys):
    assert load_tool("benchmark").main(["--task", "decode", "--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err
