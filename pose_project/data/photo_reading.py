"""From a photo's file to its pixels."""

import io
from typing import Any

import cv2
import numpy as np
from detectron2.data import detection_utils
from detectron2.utils.file_io import PathManager
from PIL import Image

from pose_project.utils.errors import UnreadablePhotoError

_ORIENTATION = 0x0112  # EXIF's number of this field; 2 to 8 are turned or mirrored


def read_photo(photo: dict[str, Any], image_format: str) -> np.ndarray:
    """Return a photo as its dataset describes it.

    Common JPEGs are decoded by OpenCV, everything else by Pillow as Detectron2 does. Both use
    libjpeg-turbo and give the same bytes; OpenCV lets it write them where they are wanted, without
    Pillow's fourth channel and copies.

    Args:
        photo: dataset dict; gets ``height`` and ``width`` if it has none.
        image_format: ``"BGR"`` or ``"RGB"``.

    Returns:
        (H, W, 3) uint8, turned as its EXIF data say.

    Raises:
        UnreadablePhotoError: if the photo cannot be read or has another size than its dict says.
    """
    try:
        with PathManager.open(photo["file_name"], "rb") as stream:
            image = decode_photo(stream.read(), image_format)
        detection_utils.check_image_size(photo, image)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        reason = " ".join(str(error).split())
        raise UnreadablePhotoError(f"{photo['file_name']} cannot be used: {reason}") from error
    return image


def decode_photo(data: bytes, image_format: str) -> np.ndarray:
    """Return the pixels of an encoded photo, as :func:`read_photo` does those of a file.

    Args:
        data: a whole file.
        image_format: ``"BGR"`` or ``"RGB"``.

    Returns:
        (H, W, 3) uint8, turned as its EXIF data say.

    Raises:
        Exception: of nearly any kind, if the bytes are no photo or damaged.
    """
    image = _decode_common_jpeg(data, image_format)
    if image is None:  # what Detectron2's read_image does with an opened file
        with Image.open(io.BytesIO(data)) as photo:
            turned = detection_utils._apply_exif_orientation(photo)
            image = detection_utils.convert_PIL_to_numpy(turned, image_format)
    return image


def _decode_common_jpeg(data: bytes, image_format: str) -> np.ndarray | None:
    """Return a JPEG's pixels, or None where Pillow has to decide what they are.

    These are CMYK, which the libraries convert differently, photos to be turned, and torn files,
    which OpenCV fills with grey without an error. Pillow's look at the header is kept for all: it
    refuses files that announce more pixels than fit into memory.
    """
    if not (data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")):
        return None
    with Image.open(io.BytesIO(data)) as header:
        is_turned = header.getexif().get(_ORIENTATION) in range(2, 9)
        if header.format != "JPEG" or header.mode not in ("RGB", "L") or is_turned:
            return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    is_rgb = image is not None and image_format == "RGB"
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if is_rgb else image
