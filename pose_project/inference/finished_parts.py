"""What is done of a run: one small file a photo or video, written when it is complete.

Resuming and dividing the work are the same: whoever finds a part missing that is theirs makes it,
and whoever finds that none is missing puts the parts together.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from pose_project.config.building import plain_config
from pose_project.inference.poses import Poses
from pose_project.inference.sources import Source
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import sha256_of


@dataclass(frozen=True)
class Part:
    """What was found in a photo or video.

    Attributes:
        frames: people in each frame; of a photo there is one, of a file that cannot be read none.
        track_ids: for each frame of a video (N,) int64 from 1, 0 for people who are not followed;
            empty for a photo.
        problem: why the file, or the rest of it, could not be read.
    """

    frames: list[Poses] = field(default_factory=list)
    track_ids: list[np.ndarray] = field(default_factory=list)
    problem: str | None = None


class PartsFolder:
    """The parts of a run, in a folder that other processes and machines may share.

    Args:
        folder: need not be there yet.
        settings: all that the parts depend on, of :func:`settings_of`.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = settings

    def open(self) -> None:
        """Make the folder, or make sure that it belongs to a run with the same settings.

        Raises:
            InputError: if it was made with other settings; names them.
        """
        file = self.folder / "settings.json"
        if not file.exists():
            write_text_atomic(file, json.dumps(self.settings, indent=2) + "\n")
        self.check()

    def check(self) -> None:
        """Refuse a folder that was made with other settings, as ``open`` does; write nothing."""
        file = self.folder / "settings.json"
        if not file.exists():
            return
        try:
            earlier = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file} is damaged: {error}") from error
        names = sorted({*earlier, *self.settings})
        other = [name for name in names if earlier.get(name) != self.settings.get(name)]
        if other:
            raise InputError(
                f"{self.folder.parent} holds predictions made with other {' and '.join(other)}; "
                "choose another --output, or delete that folder"
            )

    def missing(self, sources: Sequence[Source]) -> list[Source]:
        """Return the sources without a part of the file as it is now."""
        return [source for source in sources if self._record(source) is None]

    def write(self, source: Source, stamp: list[int], part: Part) -> None:
        """Write a part.

        Args:
            source: whose part it is.
            stamp: the source's when it was read.
            part: what was found.
        """
        record: dict[str, Any] = {"source": str(source.path), "stamp": stamp}
        if part.problem:
            record["problem"] = part.problem
        record["frames"] = [_frame_record(poses) for poses in part.frames]
        for frame, ids in zip(record["frames"], part.track_ids, strict=False):
            frame["track_ids"] = ids.tolist()
        write_text_atomic(self.path(source), json.dumps(record, separators=(",", ":")))

    def read(self, source: Source) -> Part:
        """Return the part of a source that is not missing."""
        record = self._record(source)
        if record is None:
            raise InputError(f"{source.path} has changed since it was read; start the run again")
        frames = record["frames"]
        ids = [np.array(each["track_ids"], np.int64) for each in frames if "track_ids" in each]
        return Part([_frame(each) for each in frames], ids, record.get("problem"))

    def read_all(self, sources: Sequence[Source]) -> Iterator[tuple[Source, Part]]:
        """Yield the sources with their parts, one in memory at a time."""
        for source in sources:
            yield source, self.read(source)

    def path(self, source: Source) -> Path:
        """Return the file of a source's part."""
        return self.folder / f"{source.name}.json"

    def _record(self, source: Source) -> dict[str, Any] | None:
        try:
            record = json.loads(self.path(source).read_text(encoding="utf-8"))
            stamp = source.stamp()
        except (OSError, ValueError):
            return None
        is_same = record["source"] == str(source.path) and record["stamp"] == stamp
        return record if is_same else None


def settings_of(
    cfg: DictConfig, weights: str, categories: list[dict[str, Any]], drawing: dict[str, Any]
) -> dict[str, Any]:
    """Return what predictions and drawings depend on, as JSON's types.

    Args:
        cfg: only its model, how photos are resized and ``train.inference`` count.
        weights: a file, by its content; or an address, by its name.
        categories: what is predicted.
        drawing: thresholds, or nothing if nothing is drawn.
    """
    plain = plain_config(cfg)
    parts = [plain["model"], plain["dataloader"]["test"]["mapper"], plain["train"]["inference"]]
    config = json.dumps(parts, sort_keys=True).encode()
    is_file = Path(weights).is_file()
    settings = {
        "config": hashlib.sha256(config).hexdigest(),
        "weights": sha256_of(Path(weights)) if is_file else weights,
        "categories": categories,
        "drawing": drawing,
    }
    return json.loads(json.dumps(settings))


def _frame_record(poses: Poses) -> dict[str, Any]:
    return {
        "size_hw": list(poses.photo_size_hw),
        "boxes": poses.boxes.tolist(),
        "scores": poses.scores.tolist(),
        "classes": poses.classes.tolist(),
        "keypoints": poses.keypoints.tolist(),
    }


def _frame(record: dict[str, Any]) -> Poses:
    count = len(record["scores"])
    return Poses(
        tuple(record["size_hw"]),
        np.array(record["boxes"], np.float32).reshape(count, 4),
        np.array(record["scores"], np.float32),
        np.array(record["classes"], np.int64),
        np.array(record["keypoints"], np.float32).reshape(count, -1 if count else 0, 3),
    )
