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
from pose_project.inference.sources import Source
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError
from pose_project.utils.files import remove_leftovers, write_text_atomic
from pose_project.utils.parts_folder import check_parts_folder, open_parts_folder
from pose_project.utils.provenance import sha256_of

_FLOATS, _INTEGERS = ("boxes", "scores", "keypoints"), ("classes", "track_ids")
_FORMAT = 2  # of a part; one of another format is made anew


@dataclass(frozen=True)
class Part:
    """What was found in a photo or video.

    Attributes:
        frames: people in each frame; of a photo there is one, of a file that cannot be read none.
        seconds: when each frame of a video is shown; empty for a photo.
        problem: why the file, or the rest of it, could not be read.
    """

    frames: list[Poses] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
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

    def open(self, sources: Sequence[Source]) -> None:
        """Make the folder for the parts of some sources; raises what ``check`` raises."""
        open_parts_folder(self.folder, self.settings)
        for source in sources:
            remove_leftovers(self.path(source))

    def check(self) -> None:
        """Raise ``InputError`` if the folder was made with other settings; write nothing."""
        check_parts_folder(self.folder, self.settings)

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
        record = {"format": _FORMAT, "source": str(source.path), "stamp": stamp}
        if part.problem:
            record["problem"] = part.problem
        if part.seconds:
            record["seconds"] = part.seconds
        record["frames"] = [_to_record(poses) for poses in part.frames]
        write_text_atomic(self.path(source), json.dumps(record, separators=(",", ":")))

    def read(self, source: Source) -> Part:
        """Return the part of a source that is not missing."""
        record = self._record(source)
        if record is None:
            raise InputError(f"{source.path} has changed since it was read; start the run again")
        frames = [_from_record(each) for each in record["frames"]]
        return Part(frames, record.get("seconds", []), record.get("problem"))

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
        expected = {"format": _FORMAT, "source": str(source.path), "stamp": stamp}
        return record if expected.items() <= record.items() else None


def settings_of(
    cfg: DictConfig, weights: str, categories: list[dict[str, Any]], drawing: list[float]
) -> dict[str, Any]:
    """Return what predictions and drawings depend on.

    Args:
        cfg: only its model, how images are resized and ``train.inference`` count.
        weights: a file, by its content; or an address, by its name.
        categories: what is predicted.
        drawing: thresholds, or nothing if nothing is drawn.
    """
    plain = plain_config(cfg)
    parts = [plain["model"], plain["dataloader"]["test"]["mapper"], plain["train"]["inference"]]
    config = json.dumps(parts, sort_keys=True).encode()
    is_file = Path(weights).is_file()
    return {
        "config": hashlib.sha256(config).hexdigest(),
        "weights": sha256_of(Path(weights)) if is_file else weights,
        "categories": categories,
        "drawing": drawing,
    }


def _to_record(poses: Poses) -> dict[str, Any]:
    saved = {name: getattr(poses, name) for name in (*_FLOATS, *_INTEGERS)}
    arrays = {name: each.tolist() for name, each in saved.items() if each is not None}
    num_keypoints = poses.keypoints.shape[1]
    return {"image_size_hw": poses.image_size_hw, "num_keypoints": num_keypoints, **arrays}


def _from_record(record: dict[str, Any]) -> Poses:
    count = len(record["scores"])
    shapes = {"boxes": (count, 4), "keypoints": (count, record["num_keypoints"], 3)}
    arrays = {
        name: np.array(record[name], dtype).reshape(shapes.get(name, count))
        for names, dtype in ((_FLOATS, np.float32), (_INTEGERS, np.int64))
        for name in names
        if name in record
    }
    return Poses(tuple(record["image_size_hw"]), **arrays)
