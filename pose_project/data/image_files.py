"""Which files are images, and how their pixels become 8 bits.

The rule, for training, prediction, the server and the doctor alike:

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
from pathlib import Path

import numpy as np
from PIL import Image

from pose_project.utils.errors import UnreadablePhotoError

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif"),
)
_HEIF = (".heic", ".heif")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")

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


def missing_decoder(path: Path) -> str:
    """Return what is needed to read a file of this name that nobody could open, or ""."""
    if path.suffix.lower() in _HEIF and ".heic" not in Image.registered_extensions():
        return "HEIC needs a decoder: pip install pi-heif"
    return ""
