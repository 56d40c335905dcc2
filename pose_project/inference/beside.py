"""Photos and videos at once: each drawn beside itself, its people told as a table, JSON at will."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from omegaconf import DictConfig
from tabulate import tabulate
from torch.distributed import is_torchelastic_launched

from pose_project.inference.finished_parts import Part
from pose_project.inference.outputs import ImageIds, coco_content
from pose_project.inference.predictor import PosePredictor
from pose_project.inference.run import Drawing, check_videos, predict_sources
from pose_project.inference.sources import Source
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError
from pose_project.utils.extras import need_extra
from pose_project.utils.files import write_text_atomic

_HEADERS = ("person", "score", "keypoints", "x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class Beside:
    """What comes of photos and videos when no folder is named for it.

    Attributes:
        drawn: pictures with the people on them, ``photo_poses.jpg`` beside ``photo.jpg``.
        shown: in a window, too.
        json: a file for everything found, ``-`` for the standard output, None for none.
        score_threshold: people below it are neither drawn nor told, 0 to 1.
        keypoint_threshold: keypoints whose score is not above this are neither, 0 to 1.
    """

    drawn: bool
    shown: bool
    json: str | None
    score_threshold: float
    keypoint_threshold: float

    def check(self, sources: Sequence[Source]) -> None:
        """Raise ``InputError`` for what would otherwise fail after the work is done."""
        if is_torchelastic_launched():
            raise InputError("processes divide the work through a folder: give --output DIR")
        if self.shown and not self.drawn:
            raise InputError("--show shows what is drawn: leave out --no-draw")
        folders = {source.drawn_beside.parent for source in sources} if self.drawn else set()
        if self.json not in (None, "-"):
            folders.add(Path(self.json).absolute().parent)
            if Path(self.json).is_dir():
                raise InputError(f"--json {self.json} is a folder; name a file, or - to print")
        for folder in sorted(folders):
            if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
                raise InputError(
                    f"{folder} cannot be written; --output DIR draws elsewhere, --no-draw nothing"
                )


def predict_beside(
    beside: Beside, sources: Sequence[Source], cfg: DictConfig, weights: str, batch_size: int
) -> None:
    """Predict, draw and tell each photo and video.

    Args:
        beside: what comes of them; checked before.
        sources: of ``find_sources`` or ``find_camera``.
        cfg: of the model.
        weights: its checkpoint.
        batch_size: photos, or frames of a video, that go through the model together.

    Raises:
        InputError: if the model does not fit, or no file could be read.
    """
    check_videos(sources)
    window = need_extra("window.opencv_window", "--show needs").Window() if beside.shown else None
    predictor = PosePredictor(cfg, weights)
    drawing = Drawing(
        predictor.schema, beside.score_threshold, beside.keypoint_threshold, window=window
    )
    teller = _Teller(beside, drawing)
    predict_sources(sources, predictor, teller, drawing if beside.drawn else None, batch_size)
    if not teller.has_read_any:
        raise InputError(f"none of {len(sources)} files could be read")
    if beside.json:
        ids = ImageIds(predictor.categories, None)
        content = json.dumps(
            coco_content(teller.parts, ids, predictor.categories, predictor.schema)
        )
        if beside.json == "-":
            print(content)
        else:
            write_text_atomic(beside.json, content + "\n")


@dataclass
class _Teller:
    """Tells what was found in each source as soon as it is complete.

    The table goes to the standard output, or to the standard error where that takes the JSON.
    """

    beside: Beside
    drawing: Drawing
    parts: list[tuple[Source, Part]] = field(default_factory=list)
    has_read_any: bool = False

    def write(self, source: Source, stamp: list[int], part: Part) -> None:
        """Tell the people of a photo, or how many there are in a video."""
        self.has_read_any |= bool(part.frames)
        if self.beside.json:
            self.parts.append((source, part))
        stream = sys.stderr if self.beside.json == "-" else sys.stdout
        if part.problem:
            print(f"not read: {part.problem}", file=sys.stderr)
        if part.frames:
            tell = self._tell_video if source.is_video else self._tell_photo
            tell(source, part, stream)

    def _tell_photo(self, source: Source, part: Part, stream: TextIO) -> None:
        (poses,) = part.frames
        told = poses.above(self.beside.score_threshold)
        fainter = len(poses) - len(told)
        more = f", {fainter} more below {self.beside.score_threshold:g}" if fainter else ""
        print(f"{source.name}: {len(told)} found{more}{self._where(source)}", file=stream)
        if len(told):
            rows = [self._row(told, index) for index in range(len(told))]
            print(tabulate(rows, _HEADERS, floatfmt=(".0f", ".2f", "", *[".0f"] * 4)), file=stream)

    def _row(self, poses: Poses, index: int) -> list[int | float | str]:
        rows = list(self.drawing.schema.class_rows(int(poses.classes[index])))
        keypoints = poses.keypoints[index, rows]
        drawn = int((keypoints[:, 2] > self.beside.keypoint_threshold).sum())
        box = poses.boxes[index].tolist()
        return [index + 1, float(poses.scores[index]), f"{drawn} of {len(keypoints)}", *box]

    def _tell_video(self, source: Source, part: Part, stream: TextIO) -> None:
        frames = [poses.above(self.beside.score_threshold) for poses in part.frames]
        followed = {int(each) for poses in frames for each in poses.track_ids if each}
        count = sum(map(len, frames))
        print(
            f"{source.name}: {count} found in {len(frames)} frames, {len(followed)} followed"
            f"{self._where(source)}",
            file=stream,
        )

    def _where(self, source: Source) -> str:
        return f"; drawn in {self.drawing.path(source)}" if self.beside.drawn else ""
