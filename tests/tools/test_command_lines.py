"""Every tool as its users call it: help, and wrong input in one line with exit code 2."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import pytest
from detectron2.data import MetadataCatalog
from detectron2.data import transforms as T
from helpers.annotations import person
from helpers.repository import ROOT, load_tool
from helpers.runs import TINY_RUN

from benchmarks import loading_speed, tasks
from pose_project.data import get_dataset_dicts, register_keypoint_dataset

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))
SYNTHETIC = str(ROOT / "configs/quick/synthetic.py")


def run(name: str, *arguments: str) -> int:
    return load_tool(name).main(list(arguments))


@pytest.mark.parametrize("name", TOOLS)
def test_help(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(name, "--help")
    assert stopped.value.code == 0
    assert f"tools/{name}.py" in capsys.readouterr().out


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Run train_net with wrong input; check that it is one line and that nothing was written."""
    monkeypatch.chdir(ROOT)

    def check(*arguments: str, message: str, config: str = SYNTHETIC) -> None:
        folder = tmp_path / "run"
        command = ["--config-file", config, *arguments, f"train.output_dir={folder}"]
        assert run("train_net", *command) == 2
        captured = capsys.readouterr()
        (line,) = [each for each in captured.err.splitlines() if each.startswith("error: ")]
        assert message in line
        assert "Traceback" not in captured.err + captured.out
        assert not folder.exists()

    return check


def test_no_config(refused):
    refused(config="configs/nothing.py", message="no config at configs/nothing.py")


def test_misspelt_override(refused):
    refused("train.max_itr=5", message="did you mean train.max_iter?")


def test_no_coco(refused):
    if Path(MetadataCatalog.get("keypoints_coco_2017_train").json_file).exists():
        pytest.skip("COCO is here")
    config = str(ROOT / "configs/keypoint_rcnn_R50_FPN_42ep.py")
    refused(config=config, message="set DETECTRON2_DATASETS")


def test_weights_that_are_not_there(refused):
    refused(*TINY_RUN, "train.init_checkpoint=nowhere.pth", message="no weights at nowhere.pth")


def test_weights_that_do_not_fit(refused, tmp_path):
    import torch

    path = tmp_path / "other.pth"
    torch.save({"model": {"fc.weight": torch.zeros(3, 3)}}, path)
    refused(*TINY_RUN, f"train.init_checkpoint={path}", message="1 in the file are unexpected")
    refused(
        "--eval-only", *TINY_RUN, f"train.init_checkpoint={path}", message="do not fit this model"
    )


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 torn"])
def test_weights_that_are_damaged(refused, tmp_path, content):
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    refused(*TINY_RUN, f"train.init_checkpoint={path}", message="damaged.pth")


def test_weights_that_would_run_code(refused, tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps({"model": Trap()}))
    refused(*TINY_RUN, f"train.init_checkpoint={path}", message="could run code")
    assert not (tmp_path / "ran").exists()


def test_remote_weights_without_a_network(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "fvcore"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    weights = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
    refused(*TINY_RUN, f"train.init_checkpoint={weights}", message=f"cannot fetch {weights}")


@pytest.mark.integration
def test_json_without_keypoints(refused, tmp_path, write_dataset):
    json_file, photos = write_dataset([person()])
    content = json.loads(json_file.read_text())
    del content["categories"][0]["keypoints"]
    json_file.write_text(json.dumps(content))
    register_keypoint_dataset("no_keypoints", json_file, photos)
    refused("dataloader.train.dataset.names=no_keypoints", message="has no keypoints")


def test_numbers_of_keypoints_that_differ(refused):
    refused(
        *TINY_RUN,
        "model.roi_heads.keypoint_head.num_keypoints=5",
        message="predicts 5 keypoints",
    )


def test_more_gpus_than_there_are(refused):
    refused("--num-gpus", "9", message="--num-gpus 9, but this machine has")


def test_evaluation_without_weights(refused):
    refused("--eval-only", message="train.init_checkpoint=FILE")


@pytest.mark.integration
def test_a_used_folder_is_not_mixed_with_a_new_run(tmp_path, capsys):
    (tmp_path / "metrics.json").write_text("kept")
    command = ["--config-file", SYNTHETIC, f"train.output_dir={tmp_path}"]
    assert run("train_net", *command) == 2
    assert "--resume" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("folder", ["/proc/run", "{tmp}/file/run"], ids=["read-only", "a file"])
def test_a_folder_that_cannot_be_made(tmp_path, capsys, folder):
    (tmp_path / "file").touch()
    folder = folder.format(tmp=tmp_path)
    command = ["--config-file", SYNTHETIC, *TINY_RUN, f"train.output_dir={folder}"]
    assert run("train_net", *command) == 2
    assert folder in capsys.readouterr().err


def test_visualize_data(tmp_path, capsys):
    output = tmp_path / "drawn"
    command = ["--config-file", SYNTHETIC, "--output", str(output), "--count", "3"]
    assert run("visualize_data", *command, TINY_RUN[0]) == 0
    assert len(list(output.glob("*.png"))) == 3
    assert run("visualize_data", *command[:4], "--count", "0") == 2


@pytest.mark.integration
def test_sheet_of_augmentations(tmp_path, capsys):
    config = str(ROOT / "configs/quick/synthetic_augmented.py")
    command = ["--config-file", config, "--output", str(tmp_path), "--sheet", TINY_RUN[0]]
    assert run("visualize_data", *command) == 0
    assert "in 14 panels" in capsys.readouterr().out
    page = cv2.imread(str(tmp_path / "augmentations.png"))
    assert page.shape == (4 * 264, 4 * 320, 3) and page.std() > 20


def precompute(output: Path, *changes: str) -> int:
    command = ["--method", "selective_search", "--workers", "1", "--output", str(output)]
    return run("precompute_proposals", "--dataset", "noise", *command, *changes)


def test_precompute_proposals(tmp_path, capsys, write_dataset):
    pytest.importorskip("skimage", reason="selective search needs scikit-image")
    json_file, photos = write_dataset([person()], sizes_hw=((64, 80), (40, 40)))
    register_keypoint_dataset("noise", json_file, photos)
    (photos / "2.png").write_bytes(b"no photo")
    output = tmp_path / "proposals.pkl"
    assert precompute(output, "--limit", "30") == 0
    printed = capsys.readouterr().out
    assert f"no proposals: {photos}/2.png cannot be used" in printed
    assert f"2 photos, 15 proposals on average: {output}" in printed
    assert "% with at most 30 proposals" in printed
    first, second = get_dataset_dicts("noise", filter_empty=False, proposal_files=str(output))
    assert len(first["proposal_boxes"]) == 30 and len(second["proposal_boxes"]) == 0


def test_precompute_proposals_refuses_wrong_input(tmp_path, capsys, write_dataset):
    pytest.importorskip("skimage", reason="selective search needs scikit-image")
    register_keypoint_dataset("noise", *write_dataset([person()]))
    output = tmp_path / "out" / "proposals.pkl"
    for changes, message in (
        (["--dataset", "nois"], "did you mean noise?"),
        (["--limit", "0"], "at least 1"),
        (["--workers", "-1"], "at least 1"),
        (["--output", str(tmp_path)], "is already there"),
        (["--output", str(tmp_path / "annotations.json" / "x.pkl")], "annotations.json"),
    ):
        assert precompute(output, *changes) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and message in line
    assert not output.parent.exists()


def test_proposals_without_scikit_image(tmp_path, capsys, monkeypatch, write_dataset):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    register_keypoint_dataset("noise", *write_dataset([person()]))
    assert precompute(tmp_path / "out" / "proposals.pkl") == 2
    assert "needs scikit-image: pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_convert_dataset_there_and_back(tmp_path, capsys, write_dataset):
    json_file, photos = write_dataset([person()])
    yolo, coco = tmp_path / "yolo", tmp_path / "coco"
    coco_to_yolo = ["--from", "coco", "--to", "yolo", "--val-json", str(json_file)]
    source = ["--image-root", ".", "--val-image-root", str(photos), "--output", str(yolo)]
    assert run("convert_dataset", *coco_to_yolo, *source, "--copy-photos") == 0
    assert "val: 1 instances in 1 photos; left out: 0 crowds" in capsys.readouterr().out
    back = ["--from", "yolo", "--to", "coco", "--data", str(yolo / "data.yaml")]
    assert run("convert_dataset", *back, "--output", str(coco)) == 0
    assert f"{coco}/val.json: 1 instances in 1 photos, 0 of them" in capsys.readouterr().out
    name = f"{coco}/val.json@{yolo}"
    (photo,) = get_dataset_dicts(name)
    expected = [value + 0.5 * (i % 3 < 2) for i, value in enumerate(person()["keypoints"])]
    assert photo["annotations"][0]["keypoints"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yolo", "--to", "yolo"], "--from and --to are both yolo"),
        (["--from", "yolo", "--to", "coco"], "--from yolo needs --data data.yaml"),
        (["--from", "yolo", "--to", "coco", "--data", "no.yaml"], "no.yaml"),
        (["--from", "coco", "--to", "yolo"], "needs --train-json or --val-json, and --image-root"),
        (
            ["--from", "coco", "--to", "yolo", "--val-json", "no.json", "--image-root", "."],
            "no annotations at no.json",
        ),
    ],
)
def test_convert_dataset_refuses_wrong_input(tmp_path, capsys, arguments, message):
    assert run("convert_dataset", *arguments, "--output", str(tmp_path / "out")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.integration
def test_benchmark_data_at_a_small_size(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tasks, "NUM_PHOTOS", 200)
    monkeypatch.setattr(tasks, "NUM_PEOPLE", 800)
    monkeypatch.setattr(tasks, "NUM_BATCHES", 100)
    monkeypatch.setattr(loading_speed, "_CASES", {"60x80": ((60, 80), 8)})
    monkeypatch.setattr(loading_speed, "_SOURCE", "synthetic_demo_val_5")
    monkeypatch.setattr(loading_speed, "_SECONDS", 0.0)
    monkeypatch.setattr(loading_speed, "_RUNS_PER_PHOTO", 1)
    monkeypatch.setattr(loading_speed, "_augmentations", lambda: [T.Resize((60, 60))])
    page = tmp_path / "page.md"
    command = ["--task", "data", "--json", str(tmp_path / "page/data.json"), "--report", str(page)]
    assert run("benchmark", *command) == 0
    record = json.loads((tmp_path / "page/data.json").read_text())
    cases = [each["case"] for each in record["comparisons"]]
    assert cases == ["mapper, 60x80", "loader, 60x80"]
    dataset = record["dataset"]
    assert 0 < dataset["photos_kept"] < 200
    assert dataset["iterations_per_epoch"] == dataset["photos_kept"] // 8
    assert "photos_kept" in capsys.readouterr().out and "photos_kept" in page.read_text()


def test_without_detectron2_the_import_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    spec = importlib.util.spec_from_file_location("fresh", ROOT / "pose_project/__init__.py")
    with pytest.raises(ImportError, match="tools/install_detectron2.py"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
