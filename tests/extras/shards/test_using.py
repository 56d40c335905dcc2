"""Training and prediction from shards are those from a folder."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from helpers.runs import CONFIG, EVERYTHING

from pose_project.commands.command_line import main
from pose_project.data import resolve_dataset
from pose_project.extras.shards.parts import read_found
from pose_project.extras.shards.writing import write_shards

TRAIN = "synthetic_demo_train_12"


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    data = resolve_dataset(TRAIN)
    output = tmp_path_factory.mktemp("shards") / "train"
    write_shards(Path(data.json_file), Path(data.image_root), output, 50_000)
    assert len(list(output.glob("*.tar"))) > 2
    return output


def losses(folder: Path) -> list[dict]:
    rows = map(json.loads, (folder / "metrics.json").read_text().splitlines())
    return [{k: v for k, v in row.items() if k not in ("time", "data_time")} for row in rows]


@pytest.mark.integration
def test_losses_and_weights_are_those_of_the_folder(start, shards, tmp_path):
    """Workers, augmentation, order: everything of a run, bit for bit; and resumed in between."""
    data = resolve_dataset(TRAIN)
    names = {
        "folder": f"{data.json_file}@{data.image_root}",
        "shards": f"{shards}/annotations.json@{shards}",
    }
    for run, name in names.items():
        workers = f"dataloader.train.num_workers={2 if run == 'shards' else 0}"
        start(f"dataloader.train.dataset.names={name}", workers, folder=run).train()
    assert losses(tmp_path / "shards") == losses(tmp_path / "folder")
    (tmp_path / "shards/model_final.pth").unlink()
    (tmp_path / "shards/last_checkpoint").write_text("model_0000003.pth")
    resumed = f"dataloader.train.dataset.names={names['shards']}"
    start(resumed, folder="shards", resume=True).train()
    assert losses(tmp_path / "shards") == losses(tmp_path / "folder")
    assert sum("total_loss" in row for row in losses(tmp_path / "shards")) == 6
    weights = [torch.load(tmp_path / run / "model_final.pth")["model"] for run in names]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def predict(weights: Path, output: Path, inputs: list[str], *more: str) -> int:
    model = ["--config-file", CONFIG, "--weights", str(weights), *EVERYTHING]
    command = ["predict", *model, "--input", *inputs, "--output", str(output), "--batch-size", "1"]
    return main([*command, *more])


def results(folder: Path) -> list[dict]:
    content = json.loads((folder / "results.json").read_text())
    return sorted(content, key=lambda each: (each["image_id"], -each["score"], each["bbox"]))


@pytest.mark.integration
def test_poses_are_those_of_the_folder(weights, shards, tmp_path, capsys):
    data = resolve_dataset(TRAIN)
    known = ["--annotations", data.json_file, "--save-json", "--no-draw"]
    assert predict(weights, tmp_path / "a", [data.image_root], *known) == 0
    assert predict(weights, tmp_path / "b", [str(shards)], "--save-json") == 0
    assert "detections in 12 photos; 0 photos with problems" in capsys.readouterr().out
    assert results(tmp_path / "a") == results(tmp_path / "b")
    parts = sorted(path.name for path in (tmp_path / "b/shards").glob("*.jsonl"))
    assert parts == [f"{path.stem}.jsonl" for path in sorted(shards.glob("*.tar"))]
    # a part that is missing is made, the others stay
    before = {path: path.stat().st_ctime_ns for path in (tmp_path / "b/shards").iterdir()}
    lost = tmp_path / "b/shards" / parts[1]
    content = lost.read_bytes()
    lost.unlink()
    assert predict(weights, tmp_path / "b", [str(shards)], "--save-json") == 0
    assert f"{len(parts)} shards, {len(parts) - 1} of them earlier" in capsys.readouterr().out
    assert lost.read_bytes() == content
    changed = [path for path, stamp in before.items() if path.stat().st_ctime_ns != stamp]
    assert changed == [lost]
    # another shard under the name is noticed, also one that is older than what was found
    shard = shards / "photos-000001.tar"
    stat = shard.stat()
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**9))
    assert predict(weights, tmp_path / "b", [str(shards)], "--save-json") == 0
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert f"{len(parts)} shards, {len(parts) - 1} of them earlier" in capsys.readouterr().out


@pytest.mark.integration
def test_parquet_holds_what_the_json_lines_hold(weights, shards, tmp_path, capsys):
    pandas, parquet = pytest.importorskip("pandas"), pytest.importorskip("pyarrow.parquet")
    own = tmp_path / "shards"
    shutil.copytree(shards, own)
    damaged = own / "photos-000001.tar"
    content = bytearray(damaged.read_bytes())
    content[512 : 512 + 64] = bytes(64)  # of its first photo
    damaged.write_bytes(content)
    for output, more in (("a", []), ("b", ["--parquet"])):
        assert predict(weights, tmp_path / output, [str(own)], "--save-json", *more) == 0
    said = capsys.readouterr()
    assert (
        said.out.splitlines()[-1].startswith("4 shards: ") and "1 photos with problems" in said.out
    )
    assert said.err.count("not read: ") == 2
    for name in ("results.json", "images.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    for file in (tmp_path / "a/shards").glob("*.jsonl"):
        assert list(read_found(file)) == list(
            read_found(tmp_path / f"b/shards/{file.stem}.parquet")
        )
    files = sorted((tmp_path / "b/shards").glob("*.parquet"))
    table = pandas.concat(map(pandas.read_parquet, files))
    assert len(table) == 12 and table.problem.notna().sum() == 1
    assert table.people.dropna().map(len).sum() == len(results(tmp_path / "b"))
    # what is there is not made again, and the two do not count as each other
    assert predict(weights, tmp_path / "b", [str(own)], "--parquet") == 0
    assert "4 shards, 4 of them earlier" in capsys.readouterr().out
    assert parquet.read_metadata(tmp_path / "b/shards/photos-000000.parquet").num_rows == 3


def test_parquet_without_pyarrow_or_shards(weights, shards, tmp_path, capsys, monkeypatch):
    photo = resolve_dataset(TRAIN).image_root
    for inputs, message in (
        ([photo], "--parquet goes with shards"),
        ([str(shards)], "needs PyArrow"),
    ):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        assert predict(weights, tmp_path / "out", inputs, "--parquet") == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_wrong_input(weights, shards, tmp_path, capsys):
    torn = tmp_path / "torn.tar"
    torn.write_bytes((shards / "photos-000000.tar").read_bytes()[:-30_000])
    out = tmp_path / "out"
    for inputs, more, message in [
        ([str(torn)], [], "torn.tar is torn"),
        ([str(tmp_path / "none.tar")], [], "no shard at"),
        ([str(shards), "photo.jpg"], [], "photo.jpg is not a shard"),
        (["https://example.com/photo.jpg"], [], "is an address: download the file first"),
        (["rtsp://example.com/camera"], [], "is an address: download the file first"),
        ([f"file://{tmp_path}/nothing"], [], "there is no file://"),
        ([str(shards), str(shards)], [], "two shards have the same name"),
        ([str(shards)], ["--save-csv"], "--save-csv does not go with shards"),
    ]:
        assert predict(weights, out, inputs, *more) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
        assert not out.exists()
