"""Videos in, out, and through tools/predict.py."""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.repository import ROOT, load_tool
from helpers.runs import CONFIG, EVERYTHING

from pose_project.extras.video.files import VideoReader, open_video

av = pytest.importorskip("av", reason="PyAV not installed: pip install av")


def moving_square(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    frames = []
    for index in range(count):
        frame = np.full((height, width, 3), (40, 80, 120), np.uint8)
        frame[10:30, 5 + 2 * index : 25 + 2 * index] = (200, 180, 30)
        frames.append(frame)
    return frames


def write(path: Path, frames: list[np.ndarray], seconds: Sequence[float] | None = None) -> Path:
    with open_video(path) as video:
        for index, frame in enumerate(frames):
            video.write(frame, index / 30 if seconds is None else seconds[index])
    return path


def duration_of(path: Path) -> float:
    with av.open(str(path)) as container:
        return container.duration / 1e6


def test_frames_come_back(tmp_path: Path) -> None:
    frames = moving_square(20)
    seconds = [index * 1001 / 30_000 for index in range(20)]
    path = write(tmp_path / "a.mp4", frames, seconds)
    reader = VideoReader(path)
    found = list(reader)
    assert reader.problem is None and len(found) == 20
    assert [each.seconds for each in found] == pytest.approx(seconds, abs=1 / 90_000)
    for one, other in zip(found, frames, strict=True):
        assert np.abs(one.image.astype(int) - other).mean() < 6  # lossy, and colours are halved


def test_frames_that_last_differently_long_keep_their_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seconds = np.cumsum([0, *rng.uniform(0.01, 0.4, 11)]).tolist()
    path = write(tmp_path / "a.mp4", moving_square(12), seconds)
    found = [each.seconds for each in VideoReader(path)]
    assert found == pytest.approx(seconds, abs=1 / 90_000)
    again = write(tmp_path / "b.mp4", moving_square(12), found)
    longest = max(b - a for a, b in itertools.pairwise(seconds))
    assert abs(duration_of(again) - seconds[-1]) <= longest


@pytest.mark.parametrize("seconds", [[5.0, 5.1, 5.2], [0.0, 0.0, 0.0]])
def test_times_begin_at_0_and_increase(tmp_path: Path, seconds: list[float]) -> None:
    path = write(tmp_path / "a.mp4", moving_square(3), seconds)
    found = [each.seconds for each in VideoReader(path)]
    assert found[0] == 0 and found[0] < found[1] < found[2]


def record_in_a_browser(path: Path, seconds: list[float]) -> Path:
    """What MediaRecorder writes: times in milliseconds, and no rate."""
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, time in zip(moving_square(len(seconds)), seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_recording_without_a_rate_keeps_its_length(tmp_path: Path) -> None:
    seconds = np.cumsum([0, *np.random.default_rng(1).uniform(0.03, 0.06, 19)]).round(3).tolist()
    source = record_in_a_browser(tmp_path / "a.webm", seconds)
    found = list(VideoReader(source))
    assert [each.seconds for each in found] == pytest.approx(seconds, abs=1e-3)
    drawn = write(tmp_path / "b.mp4", [each.image for each in found], [e.seconds for e in found])
    assert duration_of(drawn) == pytest.approx(seconds[-1], abs=0.07)


def test_the_recording_that_became_short(test_data: Path, tmp_path: Path) -> None:
    path = test_data.parent / "cases/jit.webm"
    if not path.is_file():
        pytest.skip("the small inputs that were read wrongly are not at hand")
    found = list(VideoReader(path))
    drawn = write(tmp_path / "b.mp4", [each.image for each in found], [e.seconds for e in found])
    assert duration_of(drawn) == pytest.approx(1.65, abs=0.06)


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
    first = next(iter(VideoReader(write(tmp_path / "a.mp4", frames)))).image
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
    image = next(iter(VideoReader(turned))).image
    assert image.shape == (96, 64, 3)
    bright = np.argwhere(image[..., 0] > 128).mean(axis=0)
    # a quarter turn counter-clockwise brings the upper left corner to the lower left
    assert bright[0] > 48 and bright[1] < 32


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_video(tmp_path / "a.mp4") as video:
        video.write(moving_square(1)[0], 0.0)
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
    assert len(drawn) == 5 and drawn[0].image.shape == (66, 98, 3)
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
    shown = sorted({float(row["seconds"]) for row in rows if row["file"] == "b.mp4"})
    assert shown == pytest.approx([index / 30 for index in range(5)], abs=1e-4)
    assert [each["seconds"] for each in images[:5]] == pytest.approx(shown)
    assert {row["track_id"] for row in rows if row["file"] == "d.png"} == {""}


def test_without_pyav_one_line(
    predict: Callable[..., int], tmp_path: Path, monkeypatch, capsys
) -> None:
    path = write(tmp_path / "a.mp4", moving_square(1))
    monkeypatch.setitem(sys.modules, "av", None)  # what an absent package looks like
    assert predict("--input", path) == 2
    assert "videos need PyAV: pip install av" in capsys.readouterr().err
