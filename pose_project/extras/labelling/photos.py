"""Photos that are looked at one batch after the other; what cannot be read is counted and named."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from pose_project.data.image_reading import read_photo
from pose_project.extras.labelling.views import Candidate, look_at
from pose_project.inference import PosePredictor
from pose_project.inference.sources import Source, find_sources
from pose_project.utils.errors import InputError, UnreadablePhotoError

_BATCH = 8


def find_photos(inputs: Sequence[str], output: Path) -> list[Source]:
    """Return the photos of ``find_sources``.

    Raises:
        InputError: if there is a video among them, or no photo.
    """
    sources = find_sources(inputs, output)
    videos = [each for each in sources if each.is_video]
    if videos:
        raise InputError(
            f"{videos[0].path} is a video ({len(videos)} in all): labelling tools take photos, so "
            "save the frames that are meant as photos"
        )
    return sources


def load_predictor(cfg: DictConfig, weights: str, keep_heatmaps: bool = False) -> PosePredictor:
    """Return a predictor that says how sure it is of each keypoint.

    Args:
        cfg: a temperature in it is kept; without one it is 1.
        weights: of the model.
        keep_heatmaps: give people their heatmaps as well.
    """
    if keep_heatmaps and cfg.model.get("roi_heads", {}).get("keypoint_head") is not None:
        cfg.model.roi_heads.keypoint_head.keep_heatmaps = True
    test_time = cfg.train.inference.test_time
    if test_time.temperature is None:
        test_time.temperature = 1.0
    return PosePredictor(cfg, weights)


def read_photos(sources: Sequence[Source]) -> Iterator[list[tuple[Source, np.ndarray]]]:
    """Yield photos with their (H, W, 3) uint8 BGR pixels, a few at a time.

    What cannot be read is named on stderr.

    Raises:
        InputError: if no photo can be read.
    """
    unread = 0
    rest = iter(tqdm(sources, disable=None, unit="photo"))
    while batch := list(itertools.islice(rest, _BATCH)):
        read = []
        for source in batch:
            try:
                read.append((source, read_photo({"file_name": str(source.path)}, "BGR")))
            except UnreadablePhotoError as error:
                unread += 1
                print(f"not read: {error}", file=sys.stderr)
        if read:
            yield read
    if unread == len(sources):
        raise InputError(f"none of {unread} photos could be read, such as {sources[0].path}")


def look_at_photos(
    predictor: PosePredictor, sources: Sequence[Source]
) -> Iterator[tuple[Source, tuple[int, int], list[Candidate]]]:
    """Yield each photo that can be read with its (height, width) and the people seen in it."""
    for batch in read_photos(sources):
        seen = look_at(predictor, [image for _, image in batch])
        for (source, image), people in zip(batch, seen, strict=True):
            yield source, image.shape[:2], people


def listed_photos(inputs: Sequence[str]) -> list[str]:
    """Return inputs with the paths that text files among them list.

    Raises:
        InputError: if such a file lists nothing.
    """
    paths: list[str] = []
    for each in inputs:
        if not each.endswith(".txt"):
            paths.append(each)
            continue
        if not Path(each).is_file():
            raise InputError(f"no file at {each}")
        listed = Path(each).read_text(encoding="utf-8").split("\n")
        listed = [line for line in listed if line.strip()]
        if not listed:
            raise InputError(f"{each} lists no photos")
        paths += listed
    return paths
