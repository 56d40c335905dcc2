"""Shards of very many tiny photos: what writing, the index and reading at random take."""

import random
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from pose_project.extras.shards.reading import ARRAYS, INDEX, iterate_members, open_shards
from pose_project.extras.shards.writing import PackedPhoto, pack_photos

_T = TypeVar("_T")
_READS = 20_000
_SHARD_BYTES = 32_000_000


def measure_shards(folder: Path, num_photos: int) -> Iterator[tuple[str, float]]:
    """Yield names and figures: seconds, microseconds a photo, megabytes of memory at the peak.

    Args:
        folder: an empty one, for about 2.6 kB a photo.
        num_photos: all of them the same picture of 16x16 pixels under different names.
    """
    picture = folder / "tiny.jpg"
    cv2.imwrite(str(picture), np.full((16, 16, 3), 127, np.uint8))
    size = picture.stat().st_size
    images = [
        {"id": number, "file_name": f"{number:09d}.jpg", "height": 16, "width": 16}
        for number in range(num_photos)
    ]
    photos = [PackedPhoto(image, picture, size) for image in images]
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    yield "memory_before_mb", _peak_mb()
    output = folder / "shards"
    settings = {"shard_bytes": _SHARD_BYTES}
    shards, seconds = _timed(lambda: pack_photos(output, photos, people, settings))
    yield "shards", len(shards)
    yield "written_mb", sum(each.size for each in shards) / 1e6
    yield "writing_s", seconds
    yield "memory_after_writing_mb", _peak_mb()
    opened, seconds = _timed(lambda: open_shards(output))
    yield "index_mb", sum((output / name).stat().st_size for name in (INDEX, ARRAYS)) / 1e6
    yield "opening_index_s", seconds
    places, seconds = _timed(lambda: opened.places_of([each["file_name"] for each in images]))
    yield "looking_up_all_s", seconds
    yield "memory_after_looking_up_mb", _peak_mb()
    chosen = random.Random(0).sample(places, min(_READS, num_photos))
    expected = picture.read_bytes()
    same, seconds = _timed(lambda: all(place.read() == expected for place in chosen))
    if not same:
        raise AssertionError("a photo of a shard is not the photo that was written")
    yield "reading_at_random_us_a_photo", 1e6 * seconds / len(chosen)
    members, seconds = _timed(
        lambda: sum(1 for shard in shards for _ in iterate_members(output / shard.name))
    )
    if members != 2 * num_photos:
        raise AssertionError(f"{members} files in the shards, not {2 * num_photos}")
    yield "scanning_without_index_s", seconds


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
