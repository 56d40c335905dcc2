"""tools/predict.py as its users call it, on photos."""

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.repository import ROOT, load_tool
from helpers.runs import CONFIG, EVERYTHING
from PIL import Image

from pose_project.data.image_reading import read_photo
from pose_project.inference import PosePredictor
from pose_project.inference.sources import find_sources
from pose_project.utils.errors import InputError

Run = Callable[..., int]


@pytest.fixture
def folder(photos: list[np.ndarray], tmp_path: Path) -> Path:
    """Five photos in two folders, one turned by its EXIF data."""
    root = tmp_path / "photos"
    (root / "b").mkdir(parents=True)
    for name, photo in zip(("z.jpg", "b/a.PNG", "b/c.bmp"), photos, strict=True):
        cv2.imwrite(str(root / name), photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photos[1]).save(root / "turned.jpg", exif=exif)
    cv2.imwrite(str(root / "b" / "d.webp"), photos[0])
    return root


NAMES = ["b/a.PNG", "b/c.bmp", "b/d.webp", "turned.jpg", "z.jpg"]


@pytest.fixture
def predict(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(ROOT)

    def run(*arguments: object, overrides: tuple[str, ...] = EVERYTHING, w: Path = weights) -> int:
        return load_tool("predict").main(
            ["--config-file", CONFIG, "--weights", str(w), "--output", str(tmp_path / "out")]
            + [str(each) for each in arguments]
            + ["--batch-size", "2", *overrides]
        )

    return run


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_files_hold_what_the_model_finds(
    predict: Run, folder: Path, weights: Path, tmp_path: Path
) -> None:
    assert predict("--input", folder, "--save-json", "--save-csv") == 0
    out = tmp_path / "out"
    images = json.loads((out / "images.json").read_text())
    assert [(each["id"], each["file_name"]) for each in images["images"]] == [*enumerate(NAMES, 1)]
    assert images["categories"][0]["name"] == "person"
    turned = images["images"][3]
    assert (turned["height"], turned["width"]) == (90, 200)

    results = json.loads((out / "results.json").read_text())
    predictor = PosePredictor.from_files(CONFIG, str(weights), EVERYTHING)
    alone = predictor(read_photo({"file_name": str(folder / "z.jpg")}, "BGR"))
    last = [each for each in results if each["image_id"] == 5]
    assert len(last) == len(alone) == 8
    for found, expected in zip(last, alone.to_coco(5), strict=True):
        assert found["category_id"] == 1
        np.testing.assert_allclose(found["bbox"], expected["bbox"], atol=1e-2)
        np.testing.assert_allclose(found["keypoints"], expected["keypoints"], atol=1e-2)

    with open(out / "keypoints.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5 * 8 * 17
    assert [rows[i * 8 * 17]["file"] for i in range(5)] == NAMES
    row = rows[4 * 8 * 17 + 1]
    assert (row["keypoint"], row["frame"], row["track_id"]) == ("left_eye", "", "")
    # the table has continuous coordinates, COCO's results pixel indices
    assert float(row["x"]) == pytest.approx(last[0]["keypoints"][3] + 0.5, abs=1e-3)
    assert float(row["keypoint_score"]) == pytest.approx(last[0]["keypoints"][5], abs=1e-6)


def test_drawn_photos_keep_name_format_and_size(predict: Run, folder: Path, tmp_path: Path) -> None:
    assert predict("--input", folder, "--score-threshold", 0.1) == 0
    drawn = tmp_path / "out" / "drawn"
    assert sorted(files_in(drawn)) == [
        "b/a.PNG", "b/c.bmp.png", "b/d.webp.png", "turned.jpg", "z.jpg"
    ]  # fmt: skip
    assert files_in(drawn)["b/a.PNG"].startswith(b"\x89PNG")
    assert cv2.imread(str(drawn / "turned.jpg")).shape == (90, 200, 3)
    picture = cv2.imread(str(drawn / "b/a.PNG"))
    changed = (picture != cv2.imread(str(folder / "b/a.PNG"))).any(axis=2)
    assert 0.01 < changed.mean() < 0.9


def test_nothing_is_drawn(predict: Run, folder: Path, tmp_path: Path) -> None:
    assert predict("--input", folder, "--no-draw") == 0
    assert not (tmp_path / "out" / "drawn").exists()


def test_patterns_and_duplicates(predict: Run, folder: Path, tmp_path: Path) -> None:
    inputs = (folder / "*.jpg", folder / "b" / "*.bmp", folder / "z.jpg", folder / "b/../z.jpg")
    assert predict("--input", *inputs, "--save-json", "--no-draw") == 0
    images = json.loads((tmp_path / "out" / "images.json").read_text())["images"]
    assert [each["file_name"] for each in images] == ["b/c.bmp", "turned.jpg", "z.jpg"]


def test_ids_of_an_annotation_file(predict: Run, folder: Path, tmp_path: Path, capsys) -> None:
    listed = [{"id": 70 + i, "file_name": name} for i, name in enumerate(NAMES)]
    content = {"images": listed, "categories": [{"id": 9, "name": "person"}], "annotations": []}
    file = tmp_path / "gt.json"
    file.write_text(json.dumps(content))
    wanted = ("--input", folder, "--no-draw", "--save-json", "--annotations", file)
    assert predict(*wanted) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sorted({each["image_id"] for each in results}) == [70, 71, 72, 73, 74]
    assert {each["category_id"] for each in results} == {9}

    for change, message in (
        ({"images": listed[1:]}, "1 of 5 inputs are not photos of"),
        ({"categories": [{"id": 9, "name": "cat"}]}, "no category 'person'"),
        ({"images": None}, "is not a COCO annotation file"),
    ):
        file.write_text(json.dumps(content | change))
        assert predict(*wanted) == 2
        assert message in capsys.readouterr().err


def test_unreadable_photos_are_listed(
    predict: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (folder / "text.jpg").write_text("no photo")
    (folder / "b/torn.png").write_bytes((folder / "b/a.PNG").read_bytes()[:900])
    assert predict("--input", folder, "--save-json") == 0
    captured = capsys.readouterr()
    listed = [line for line in captured.err.splitlines() if line.startswith("not read: ")]
    assert len(listed) == 2 and "torn.png" in listed[0] and "text.jpg" in listed[1]
    assert "2 files with problems" in captured.out
    images = json.loads((tmp_path / "out" / "images.json").read_text())["images"]
    assert [each["file_name"] for each in images] == NAMES


def test_nothing_readable_is_an_error(predict: Run, tmp_path: Path, capsys) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    assert predict("--input", tmp_path / "text.jpg") == 2
    assert "none of 1 files could be read" in capsys.readouterr().err


@pytest.mark.integration
def test_goes_on_where_it_was(predict: Run, folder: Path, tmp_path: Path, capsys) -> None:
    everything = ("--input", folder, "--save-json", "--save-csv")
    assert predict(*everything) == 0
    out = tmp_path / "out"
    expected = files_in(out)
    before = {path: path.stat().st_mtime_ns for path in (out / "parts").rglob("*.json")}
    (out / "parts/z.jpg.json").unlink()
    (out / "results.json").unlink()
    for leftover in ("parts/.z.jpg.json.abc.tmp", "drawn/.z.jpg.abc.tmp"):  # of a killed write
        (out / leftover).write_text("half")
    capsys.readouterr()
    assert predict(*everything) == 0
    assert "4 of them earlier" in capsys.readouterr().out
    assert files_in(out) == expected
    redone = [path for path, when in before.items() if path.stat().st_mtime_ns != when]
    assert [path.name for path in redone] == ["z.jpg.json"]
    # a photo that is another one now
    (folder / "z.jpg").write_bytes((folder / "turned.jpg").read_bytes())
    assert predict(*everything) == 0
    assert "4 of them earlier" in capsys.readouterr().out


def test_other_settings_are_refused(
    predict: Run, folder: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    photo = ("--input", folder / "z.jpg")
    assert predict(*photo) == 0
    expected = files_in(tmp_path / "out")
    other = tmp_path / "other.pth"
    other.write_bytes(weights.read_bytes() + b"0")
    other.with_suffix(".json").write_bytes(weights.with_suffix(".json").read_bytes())
    flips = (*EVERYTHING, "train.inference.test_time.flip=True")
    for run, message in (
        (lambda: predict(*photo, overrides=flips), "with other config;"),
        (lambda: predict(*photo, w=other), "with other weights;"),
        (lambda: predict(*photo, "--score-threshold", 0.2), "with other drawing;"),
    ):
        assert run() == 2
        assert message in capsys.readouterr().err
    assert files_in(tmp_path / "out") == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "nothing.jpg"), "no file or folder at nothing.jpg"),
        (("--input", ""), "an --input is empty"),
        (("--input", "./train.device=cpu"), "no file or folder at ./train.device=cpu"),
        (("--input", "nothing*.jpg"), "matches no photos or videos"),
        (("--input", "docs/benchmarks/*.json"), "matches no photos or videos"),
        (("--input", "tools"), "holds no photos or videos"),
        (("--input", "setup.py"), "neither a photo nor a video"),
        (("--input", "docs/images", "--score-threshold", "1.5"), "must be in 0 to 1, got 1.5"),
        (("--input", "docs/images", "--keypoint-threshold", "nan"), "must be in 0 to 1, got nan"),
        (("--input", "docs/images", "--batch-size", "0"), "at least 1, got 0"),
        (("--input", "docs/images", "--weights", "none.pth"), "no weights at"),
        (("--input", "docs/images", "--config-file", "none.py"), "no config at"),
        (("--input", "docs/images", "--output", "setup.py"), "is a file"),
        (("--input", "docs/images", "--output", "setup.py/x"), "is a file"),
        (("--input", "docs/images", "--output", "/proc/x"), "/proc/x"),
        (("--input", "docs/images", "--annotations", "none.json"), "none.json"),
        (("--input", "docs/images", "--output", "docs"), "are in the output folder"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: tuple[str, ...],
    message: str,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(ROOT)
    standard = ["--config-file", CONFIG, "--weights", str(weights), "--output", f"{tmp_path}/out"]
    assert load_tool("predict").main([*standard, *arguments, "--", *EVERYTHING]) == 2
    captured = capsys.readouterr()
    (line,) = [each for each in captured.err.splitlines() if each.startswith("error: ")]
    assert message in line
    assert "Traceback" not in captured.err + captured.out
    assert not (tmp_path / "out").exists()


def test_two_drawings_of_one_name_are_refused(predict: Run, folder: Path, capsys) -> None:
    (folder / "b/c.bmp.png").write_bytes((folder / "b/a.PNG").read_bytes())
    assert predict("--input", folder) == 2
    assert "would both be drawn as" in capsys.readouterr().err


def command(weights: Path, folder: Path, out: Path) -> list[str]:
    return (
        [f"{ROOT}/tools/predict.py", "--config-file", CONFIG, "--weights", str(weights)]
        + ["--input", str(folder), "--output", str(out), "--save-json", "--save-csv"]
        + ["--batch-size", "1", *EVERYTHING]
    )


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.integration
def test_killed_at_any_time_it_goes_on(
    predict: Run, folder: Path, weights: Path, tmp_path: Path
) -> None:
    for index in range(20):
        (folder / f"more{index:02}.jpg").write_bytes((folder / "z.jpg").read_bytes())
    parts = tmp_path / "killed" / "parts"
    call = [sys.executable, *command(weights, folder, tmp_path / "killed")]
    for wanted in (1, 9, 17):
        process = subprocess.Popen(call, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        while len(list(parts.rglob("*.*.json"))) < wanted:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for part in parts.rglob("*.*.json"):
            assert json.loads(part.read_text())["frames"]
    subprocess.run(call, cwd=ROOT, env=ENVIRONMENT, check=True)
    call = [sys.executable, *command(weights, folder, tmp_path / "whole")]
    subprocess.run(call, cwd=ROOT, env=ENVIRONMENT, check=True)
    assert files_in(tmp_path / "killed") == files_in(tmp_path / "whole")


@pytest.mark.integration
def test_divided_among_processes(weights: Path, folder: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "3"]
    for out, launcher in (("one", [sys.executable]), ("three", torchrun)):
        call = [*launcher, *command(weights, folder, tmp_path / out)]
        subprocess.run(call, cwd=ROOT, env=ENVIRONMENT, check=True)
    assert files_in(tmp_path / "three") == files_in(tmp_path / "one")


def test_what_a_folder_holds_beside_photos_is_counted(tmp_path, caplog):
    for name in ("a.jpg", "b.txt", "c.TXT", "d.json", ".e.jpg", "license"):
        (tmp_path / name).touch()
    with caplog.at_level(logging.INFO):
        (source,) = find_sources([str(tmp_path)], tmp_path / "out")
    assert source.name == "a.jpg"
    assert "left out, neither photos nor videos: 2 .txt" in caplog.text
    assert all(part in caplog.text for part in ("1 .json", "1 hidden", "1 without a suffix"))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("https://example.org/photo.jpg", "is an address: download the file first"),
        ("rtsp://camera/stream", "is an address"),
        ("-", "standard input, which is not read"),
    ],
)
def test_streams_are_refused_by_name(tmp_path, typed, message):
    with pytest.raises(InputError, match=message):
        find_sources([typed], tmp_path)
