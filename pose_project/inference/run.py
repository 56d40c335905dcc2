"""Predict photos and videos one after the other, draw them, and pass on what was found."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np
import torch
import torch.distributed as dist
from tqdm import tqdm

from pose_project.data.image_reading import read_photo
from pose_project.inference.finished_parts import Part
from pose_project.inference.image_poses import draw_poses
from pose_project.inference.predictor import PosePredictor
from pose_project.inference.sources import Source
from pose_project.structures import KeypointSchema
from pose_project.structures.poses import Poses
from pose_project.utils.errors import UnreadablePhotoError
from pose_project.utils.extras import find_extra, need_extra
from pose_project.utils.files import atomic_path, remove_leftovers

_T = TypeVar("_T")


class Window(Protocol):
    """Shows what is drawn."""

    def show(self, picture_bgr: np.ndarray, seconds: float | None) -> None:
        """Show an (H, W, 3) picture; ``seconds`` of a video's frame, None for a photo."""


@dataclass(frozen=True)
class Drawing:
    """How people are drawn, and where.

    Attributes:
        schema: of the keypoints.
        score_threshold: people below it are not drawn.
        keypoint_threshold: nor are keypoints whose score is not above this.
        folder: for the drawn photos and videos; None draws each beside its source.
        window: shows what is drawn; None shows nothing.
    """

    schema: KeypointSchema
    score_threshold: float
    keypoint_threshold: float
    folder: Path | None = None
    window: Window | None = None

    def draw(self, image_bgr: np.ndarray, poses: Poses) -> np.ndarray:
        """Return an (H, W, 3) uint8 BGR picture with the people on it."""
        return draw_poses(
            image_bgr, poses, self.schema, self.score_threshold, self.keypoint_threshold
        )

    def path(self, source: Source) -> Path:
        """Return the file that a source is drawn into."""
        return source.drawn_beside if self.folder is None else self.folder / source.drawn_name

    def write_image(self, source: Source, image_bgr: np.ndarray, poses: Poses) -> None:
        """Draw a photo's people and write it in the format that its name says."""
        path = self.path(source)
        picture = np.ascontiguousarray(self.draw(image_bgr, poses))
        with atomic_path(path) as temporary:
            temporary.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
        if self.window:
            self.window.show(picture, seconds=None)


class Sink(Protocol):
    """Takes what was found in a source."""

    def write(self, source: Source, stamp: list[int], part: Part) -> None:
        """Take the part of a source that was complete, with the source's stamp when it was read."""


def own_share(sources: Sequence[Source]) -> list[Source]:
    """Return this process's part of all sources: under ``torchrun`` every WORLD_SIZE-th."""
    if not dist.is_torchelastic_launched():
        return list(sources)
    return list(sources[int(os.environ["RANK"]) :: int(os.environ["WORLD_SIZE"])])


def check_videos(sources: Sequence[Source]) -> None:
    """Raise ``InputError`` if there are videos and what reads them is not here."""
    if any(source.is_video for source in sources):
        need_extra("video.files", "videos need").pyav()


def use_own_gpu() -> None:
    """Under ``torchrun`` take the GPU of this process; several share one where there are fewer."""
    if dist.is_torchelastic_launched() and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


def predict_sources(
    sources: Sequence[Source],
    predictor: PosePredictor,
    parts: Sink,
    drawing: Drawing | None,
    batch_size: int,
) -> None:
    """Predict photos and videos and write a part of each, after its drawing.

    Args:
        sources: to predict.
        predictor: of the poses.
        parts: where the parts go.
        drawing: None to draw nothing.
        batch_size: photos, or frames of a video, that go through the model together.
    """
    for source in sources:
        if drawing:
            remove_leftovers(drawing.path(source))
    images = [source for source in sources if not source.is_video]
    videos = [source for source in sources if source.is_video]
    with tqdm(total=len(sources), disable=None, unit="file") as progress:
        for batch in batches(images, batch_size):
            _predict_images(batch, predictor, parts, drawing)
            progress.update(len(batch))
        for video in videos:
            find_extra("video.prediction").predict_video(
                video, predictor, parts, drawing, batch_size
            )
            progress.update()


def _predict_images(
    sources: list[Source], predictor: PosePredictor, parts: Sink, drawing: Drawing | None
) -> None:
    read: list[tuple[Source, list[int], np.ndarray]] = []
    for source in sources:
        stamp = source.stamp()
        try:
            image = read_photo({"file_name": str(source.path)}, "BGR")
        except UnreadablePhotoError as error:
            parts.write(source, stamp, Part(problem=str(error)))
        else:
            read.append((source, stamp, image))
    found = predictor.predict([image for _, _, image in read])
    for (source, stamp, image), poses in zip(read, found, strict=True):
        if drawing:
            drawing.write_image(source, image, poses)
        parts.write(source, stamp, Part([poses]))


def batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield items in lists of a size; the last may be shorter."""
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
