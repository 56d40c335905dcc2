"""Which files are images, and from a file to its pixels.

The rule of pixels, for training, prediction, the server and the doctor alike:

=============================  =====================================================================
pixels                         become
=============================  =====================================================================
8 bits, 1 bit, CMYK, YCbCr     RGB
palette                        the colours of the palette
transparency                   left out, as OpenCV does: the colours below it are seen
16 bits, grey or colour        the higher 8 bits, as OpenCV does
32 bits, whole or floating     refused: nothing says which value is white
animations, several pages      refused: an image is one picture
AVIF and HEIC of 10, 12 bits   the higher 8 bits, by their decoders
=============================  =====================================================================

A phone's MPO holds its picture first and others for it; the first is taken.
"""

import contextlib
import io
import itertools
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from detectron2.data import detection_utils
from detectron2.utils.file_io import PathManager
from PIL import ExifTags, Image, UnidentifiedImageError

from pose_project.utils.errors import UnreadablePhotoError
from pose_project.utils.private_api import upright

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif"),
)
_HEIF = (".heic", ".heif")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_START, _END, _SCAN, _RESTART_INTERVAL = 0xD8, 0xD9, 0xDA, 0xDD  # JPEG's markers follow a 0xFF
_MARKER_AFTER_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # 0xFF 0x00 is data
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")

with contextlib.suppress(ImportError):  # the extra "heif"
    import pi_heif

    pi_heif.register_heif_opener()


def is_image_file(path: Path) -> bool:
    """Return whether a file is an image by its name."""
    return path.suffix.lower() in SUFFIXES


def check_pixels(image: Image.Image) -> None:
    """Refuse an opened image that cannot become 8 bits; nothing is decoded.

    Raises:
        UnreadablePhotoError: if it is several pictures, or nothing says what its values mean.
    """
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":
        what = "pages" if image.format == "TIFF" else "frames"
        raise UnreadablePhotoError(f"it has {count} {what}; save the one that is meant as an image")
    if image.mode in ("I", "F") and not has_sixteen_bits(image):
        kind = "whole" if image.mode == "I" else "floating point"
        raise UnreadablePhotoError(
            f"its values are {kind} numbers of 32 bits; scale them to 8 bits and save it again"
        )


def has_sixteen_bits(image: Image.Image) -> bool:
    """Return whether an opened image has 16 bits that are still to be scaled: a grey one."""
    return image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format == "PNG")


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return an opened image with values of 8 bits; see the table above.

    Raises:
        UnreadablePhotoError: see ``check_pixels``.
    """
    check_pixels(image)
    if not has_sixteen_bits(image):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))


def exif_orientation(image: Image.Image) -> int:
    """Return how a photo is stored: 1 upright, 2 to 4 on its head or mirrored, 5 to 8 on its side.

    As for Detectron2, damaged EXIF data and other numbers are 1.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises what its parser stumbles over
        return 1
    return orientation if orientation in range(2, 9) else 1


def upright_size_wh(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an opened photo once it is turned as its EXIF data say."""
    width, height = image.size
    return (height, width) if exif_orientation(image) >= 5 else (width, height)


def missing_decoder(path: Path) -> str:
    """Return what is needed to read a file of this name that nobody could open, or ""."""
    if path.suffix.lower() in _HEIF and ".heic" not in Image.registered_extensions():
        return "HEIC needs a decoder: pip install pi-heif"
    return ""


def read_photo(photo: dict[str, Any], image_format: str) -> np.ndarray:
    """Return a photo as its dataset describes it.

    Common JPEGs are decoded by OpenCV, everything else by Pillow as Detectron2 does. Both use
    libjpeg-turbo and give the same bytes; OpenCV lets it write them where they are wanted, without
    Pillow's fourth channel and copies.

    Args:
        photo: dataset dict; gets ``height`` and ``width`` if it has none. With ``shard``,
            what its ``read()`` returns is decoded, see ``extras/shards``.
        image_format: ``"BGR"`` or ``"RGB"``.

    Returns:
        (H, W, 3) uint8, turned as its EXIF data say.

    Raises:
        UnreadablePhotoError: if the photo cannot be read or has another size than its dict says.
    """
    try:
        image = decode_photo(_read_bytes(photo), image_format)
        detection_utils.check_image_size(photo, image)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        is_unknown = isinstance(error, UnidentifiedImageError)
        reason = is_unknown and missing_decoder(Path(photo["file_name"])) or why_unreadable(error)
        raise UnreadablePhotoError(f"{photo['file_name']} cannot be used: {reason}") from error
    return image


def why_unreadable(error: Exception) -> str:
    """Return what a decoder's error says, in one line."""
    if isinstance(error, UnidentifiedImageError):  # its text is about an object in memory
        return "it is not a photo of a known kind"
    return " ".join(str(error).split()) or type(error).__name__


def _read_bytes(photo: dict[str, Any]) -> bytes:
    if "shard" in photo:
        return photo["shard"].read()
    with PathManager.open(photo["file_name"], "rb") as stream:
        return stream.read()


def decode_photo(data: bytes, image_format: str) -> np.ndarray:
    """Return the pixels of an encoded photo, as :func:`read_photo` does those of a file.

    Args:
        data: a whole file.
        image_format: ``"BGR"`` or ``"RGB"``.

    Returns:
        (H, W, 3) uint8, turned as its EXIF data say.

    Raises:
        Exception: of nearly any kind, if the bytes are damaged or not a photo.
    """
    image = _decode_common_jpeg(data, image_format)
    if image is None:  # what Detectron2's read_image does with an opened file
        with Image.open(io.BytesIO(data)) as photo:
            turned = upright(to_eight_bits(photo))
            image = detection_utils.convert_PIL_to_numpy(turned, image_format)
    return image


def _decode_common_jpeg(data: bytes, image_format: str) -> np.ndarray | None:
    """Return a JPEG's pixels, or None where Pillow has to decide what they are.

    These are CMYK, which the libraries convert differently, photos to be turned, and torn files,
    which OpenCV fills with grey without an error. Pillow's look at the header is kept for all: it
    refuses files that announce more pixels than fit into memory.
    """
    if not _has_markers_in_order(data):
        return None
    with Image.open(io.BytesIO(data)) as header:
        is_upright = exif_orientation(header) == 1
        if header.format != "JPEG" or header.mode not in ("RGB", "L") or not is_upright:
            return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    is_rgb = image is not None and image_format == "RGB"
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if is_rgb else image


def _has_markers_in_order(data: bytes) -> bool:
    """Return whether these are the bytes of a JPEG whose segments lead to its end, and no further.

    Where a marker stands in the midst of pixels, as in damaged files, OpenCV goes on with made-up
    ones, and Pillow raises an error.
    """
    if not data.startswith(bytes([0xFF, _START])):
        return False
    place, has_restarts = 2, False
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return False
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        place += 2 + length
        has_restarts |= marker == _RESTART_INTERVAL
        if marker == _SCAN:
            end = len(data) - 2
            markers = data.count(b"\xff", place, end) - data.count(b"\xff\x00", place, end)
            if place < end and not markers:
                place = end  # the usual photo has one scan without a marker in it
                continue
            following = _MARKER_AFTER_SCAN.search(data, place)
            if following is None:
                return False
            restarts = [each[0] for each in _RESTART.findall(data, place, following.start())]
            in_order = itertools.islice(itertools.cycle(range(0xD0, 0xD8)), len(restarts))
            if restarts != list(in_order) or (restarts and not has_restarts):
                return False
            place = following.end() - 2
    return data[place:] == bytes([0xFF, _END])
