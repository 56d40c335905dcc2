"""Parts of a run: read as they were written, or missing."""

import json
from pathlib import Path

import numpy as np
import pytest

from pose_project.inference.finished_parts import Part, PartsFolder
from pose_project.inference.sources import Source
from pose_project.structures.poses import Poses


def poses_of(count: int, track_ids: list[int] | None = None) -> Poses:
    random = np.random.default_rng(count)
    return Poses(
        (120, 160),
        random.uniform(0, 120, (count, 4)).astype(np.float32),
        random.random(count).astype(np.float32),
        random.integers(0, 3, count),
        random.uniform(0, 120, (count, 17, 3)).astype(np.float32),
        track_ids=None if track_ids is None else np.array(track_ids, np.int64),
    )


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "clip.mp4").write_bytes(b"frames")
    return Source(tmp_path / "clip.mp4", "clip.mp4")


def test_frames_are_read_to_the_last_bit(tmp_path: Path, source: Source) -> None:
    parts = PartsFolder(tmp_path / "parts", {})
    frames = [poses_of(3, [1, 0, 2]), poses_of(0, []), poses_of(1)]
    parts.write(source, source.stamp(), Part(frames, problem="it ends early"))
    part = parts.read(source)
    assert part.problem == "it ends early"
    for found, expected in zip(part.frames, frames, strict=True):
        assert found.image_size_hw == expected.image_size_hw
        for name, value in vars(expected).items():
            if isinstance(value, np.ndarray):
                other = getattr(found, name)
                assert (other.dtype, other.shape) == (value.dtype, value.shape), name
                assert (other == value).all(), name
        assert (found.track_ids is None) == (expected.track_ids is None)


def change(record: dict, **values: object) -> str:
    return json.dumps({**record, **values})


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: change(record, format=1),
        lambda record: json.dumps({k: v for k, v in record.items() if k != "format"}),
        lambda record: change(record, stamp=[1, 2]),
        lambda record: change(record, source="/elsewhere/clip.mp4"),
        lambda record: json.dumps(record)[:-5],
    ],
    ids=["other format", "before formats", "changed file", "other file", "torn"],
)
def test_what_cannot_be_used_is_missing(tmp_path: Path, source: Source, damage) -> None:
    parts = PartsFolder(tmp_path / "parts", {})
    parts.write(source, source.stamp(), Part([poses_of(2)]))
    assert parts.missing([source]) == []
    file = parts.path(source)
    file.write_text(damage(json.loads(file.read_text())))
    assert parts.missing([source]) == [source]
