"""Checks that open the photos: there, whole, of the size that the annotations say, only once."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from pose_project.data.dataset_dicts import image_path
from pose_project.data.image_reading import check_pixels, has_sixteen_bits, upright_size_wh
from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.findings import Finding
from pose_project.utils.errors import UnreadablePhotoError

THREADS = 8
"""Pillow decodes without Python's lock, and some threads wait for the disk."""


class State(Enum):
    """What came of opening a photo; the values are codes of problems."""

    WHOLE = ""
    MISSING = "photo-missing"
    UNREADABLE = "photo-unreadable"
    TRUNCATED = "photo-truncated"
    REFUSED = "photo-pixels"


@dataclass(frozen=True)
class Photo:
    """A photo's file.

    Args:
        state: whether it can be read.
        size_wh: width and height in the file, before any rotation.
        loaded_wh: width and height as loaded, after the rotation that its EXIF data ask for.
        digest: of the file's content.
        reason: why loading refuses its pixels.
        has_sixteen_bits: loading takes the higher eight of them.
    """

    state: State
    size_wh: tuple[int, int] = (0, 0)
    loaded_wh: tuple[int, int] = (0, 0)
    digest: bytes = b""
    reason: str = ""
    has_sixteen_bits: bool = False


def open_photo(path: Path) -> Photo:
    """Read a photo to its end."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Photo(State.MISSING)
    except (OSError, ValueError):  # a folder, no permission, a name with a zero in it
        return Photo(State.UNREADABLE)
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        with Image.open(io.BytesIO(content)) as image:
            size, loaded = image.size, upright_size_wh(image)
            check_pixels(image)
            sixteen = has_sixteen_bits(image)
            # an eighth of the size: a JPEG is read to its end, in half the time
            image.draft(None, (1, 1))
            image.load()
    except UnreadablePhotoError as error:
        return Photo(State.REFUSED, digest=digest, reason=str(error))
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        cut = "truncated" in str(error) or isinstance(error, EOFError)
        return Photo(State.TRUNCATED if cut else State.UNREADABLE, digest=digest)
    return Photo(State.WHOLE, size, loaded, digest, has_sixteen_bits=sixteen)


def open_photos(file_names: Sequence[Any], folder: Path) -> list[Photo]:
    """Return the photos of a folder, read in parallel; names that are not text are left out."""

    def read(name: Any) -> Photo:
        return open_photo(image_path(folder, name)) if isinstance(name, str) and name else missing

    missing = Photo(State.MISSING)
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(read, file_names)
        return list(tqdm(results, total=len(file_names), unit="photo", disable=None))


def check_files(dataset: Dataset, photos: Sequence[Photo]) -> Iterator[Finding]:
    """Find photos that are missing, damaged, or of another size.

    Args:
        dataset: the annotations.
        photos: one for each of its images.
    """
    found = dataset.images.found
    for state in (State.MISSING, State.UNREADABLE, State.TRUNCATED):
        yield from found(state.value, np.array([each.state is state for each in photos], bool))
    refused = [row for row, each in enumerate(photos) if each.state is State.REFUSED]
    if refused:
        yield from found("photo-pixels", refused, f"of the first, {photos[refused[0]].reason}")
    sixteen = np.array([each.has_sixteen_bits for each in photos], bool)
    yield from found("photo-sixteen-bits", sixteen)
    codes = [size_problem(*each) for each in zip(dataset.sizes_wh.tolist(), photos, strict=True)]
    for code in ("photo-exif", "photo-size-swapped", "photo-size"):
        rows = [row for row, each in enumerate(codes) if each == code]
        if rows:
            said, is_ = dataset.sizes_wh[rows[0]], photos[rows[0]].loaded_wh
            detail = f"the first is {is_[0]}x{is_[1]}, annotated as {said[0]:.0f}x{said[1]:.0f}"
            yield from found(code, rows, detail)


def size_problem(said_wh: Sequence[float], photo: Photo) -> str | None:
    """Return the problem's code of a photo that is annotated with a size."""
    said = tuple(said_wh)
    if photo.state is not State.WHOLE or np.isnan(said).any() or said == photo.loaded_wh:
        return None
    if said != photo.loaded_wh[::-1]:
        return "photo-size"
    return "photo-exif" if said == photo.size_wh else "photo-size-swapped"


def check_repeated(dataset: Dataset, photos: Sequence[Photo]) -> Iterator[Finding]:
    """Find photos with the content of an earlier one under another name."""
    names = dataset.images.column("file_name")
    first: dict[bytes, Any] = {}
    rows = [
        row
        for row, photo in enumerate(photos)
        if photo.digest and first.setdefault(photo.digest, names[row]) != names[row]
    ]
    yield from dataset.images.found("photo-repeated", rows)


def check_leaked(
    dataset: Dataset, photos: Sequence[Photo], others: Sequence[Photo]
) -> Iterator[Finding]:
    """Find photos that are among those of another dataset as well."""
    known = {photo.digest for photo in others if photo.digest}
    yield from dataset.images.found(
        "photo-leaked", np.array([photo.digest in known for photo in photos], bool)
    )
