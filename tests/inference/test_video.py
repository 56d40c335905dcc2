"""Videos in, out, and through tools/predict.py."""

import csv
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.repository import ROOT, load_tool
from helpers.runs import CONFIG, EVERYTHING

from pose_project.inference.video import VideoReader, open_video

av = pytest.importorskip("av", reason="PyAV not installed: pip install av")


def moving_square(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    frames = []
    for index in range(count):
        frame = np.full((height, width, 3), (40, 80, 120), np.uint8)
        frame[10:30, 5 + 2 * index : 25 + 2 * index] = (200, 180, 30)
        frames.append(frame)
    return frames


def write(path: Path, frames: list[np.ndarray], rate: Fraction = Fraction(30)) -> Path:
    with open_video(path) as video:
        for frame in frames:
            video.write(frame, rate)
    return path


def test_frames_come_back(tmp_path: Path) -> None:
    frames = moving_square(20)
    path = write(tmp_path / "a.mp4", frames, Fraction(30_000, 1001))
    reader = VideoReader(path)
    found = list(reader)
    assert reader.problem is None and reader.rate == Fraction(30_000, 1001)
    assert len(found) == 20
    for one, other in zip(found, frames, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 6  # lossy, and colours are halved


def test_what_browsers_play(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", moving_square(3))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it is still coming in


@pytest.mark.parametrize(("height", "width"), [(63, 96), (64, 95), (63, 95), (1, 1)])
def test_odd_sizes(height: int, width: int, tmp_path: Path) -> None:
    frames = [np.full((height, width, 3), 90, np.uint8)] * 2
    first = next(iter(VideoReader(write(tmp_path / "a.mp4", frames))))
    assert first.shape == (height + height % 2, width + width % 2, 3)


def test_turned_as_the_file_says(tmp_path: Path) -> None:
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48] = 255  # the upper left corner
    write(plain, [frame] * 2)
    with av.open(str(plain)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)  # counter-clockwise, as FFmpeg counts
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    image = next(iter(VideoReader(turned)))
    assert image.shape == (96, 64, 3)
    bright = np.argwhere(image[..., 0] > 128).mean(axis=0)
    # a quarter turn counter-clockwise brings the upper left corner to the lower left
    assert bright[0] > 48 and bright[1] < 32


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_video(tmp_path / "a.mp4") as video:
        video.write(moving_square(1)[0], Fraction(30))
        raise KeyError
    with open_video(tmp_path / "b.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_torn_files(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mp4", moving_square(40)).read_bytes()
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(data[: (data.index(b"mdat") + len(data)) // 2])
    reader = VideoReader(torn)
    assert 0 < len(list(reader)) < 40
    assert "after" in reader.problem
    for content, message in ((b"no video", "Invalid data"), (b"", "Invalid data")):
        torn.write_bytes(content)
        reader = VideoReader(torn)
        assert list(reader) == [] and message in reader.problem


def test_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    with av.open(str(path), "w") as container:
        container.add_stream("libx264", rate=30).pix_fmt = "yuv420p"
        container.start_encoding()
    reader = VideoReader(path)
    assert list(reader) == [] and reader.problem


@pytest.fixture
def predict(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(ROOT)

    def run(*arguments: object) -> int:
        files = ["--config-file", CONFIG, "--weights", str(weights), "--output", f"{tmp_path}/out"]
        rest = ["--batch-size", "3", *EVERYTHING]
        return load_tool("predict").main([*files, *map(str, arguments), *rest])

    return run


def test_predicted(
    predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    data = write(folder / "b.mp4", moving_square(5, 65, 97)).read_bytes()
    (folder / "a.mov").write_bytes(b"no video")
    (folder / "c.mp4").write_bytes(data[:-20])  # a part of the last frame is missing
    cv2.imwrite(str(folder / "d.png"), moving_square(1)[0])
    assert predict("--input", folder, "--save-json", "--save-csv") == 0
    captured = capsys.readouterr()
    assert "a.mov Invalid data" in captured.err and "c.mp4 " in captured.err
    assert "1 photos and 3 videos" in captured.out and "2 files with problems" in captured.out
    out = tmp_path / "out"
    drawn = list(VideoReader(out / "drawn/b.mp4"))
    assert len(drawn) == 5 and drawn[0].shape == (66, 98, 3)
    kept = len(list(VideoReader(out / "drawn/c.mp4")))
    assert 0 < kept < 5
    assert not (out / "drawn/a.mov.mp4").exists()

    images = json.loads((out / "images.json").read_text())["images"]
    assert [each["id"] for each in images] == list(range(1, 5 + kept + 2))
    assert [each.get("frame_index") for each in images] == [*range(5), *range(kept), None]
    results = json.loads((out / "results.json").read_text())
    followed = {(each["image_id"], each["track_id"]) for each in results if "track_id" in each}
    assert (1, 1) in followed
    assert len(followed) == sum("track_id" in each for each in results)  # one person each
    assert max(image_id for image_id, _ in followed) <= 5 + kept  # no photo
    with open(out / "keypoints.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["frame"] for row in rows if row["file"] == "b.mp4"} == set("01234")
    assert {row["track_id"] for row in rows if row["file"] == "d.png"} == {""}


def test_without_pyav_one_line(
    predict: Callable[..., int], tmp_path: Path, monkeypatch, capsys
) -> None:
    path = write(tmp_path / "a.mp4", moving_square(1))
    monkeypatch.setitem(sys.modules, "av", None)  # what an absent package looks like
    assert predict("--input", path) == 2
    assert "videos need PyAV: pip install av" in capsys.readouterr().err
