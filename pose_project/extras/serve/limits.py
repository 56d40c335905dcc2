"""What a request may be: bytes, pixels, kind of file, and how many there may be."""

import asyncio
import io
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
from fastapi import HTTPException
from PIL import Image

from pose_project.data.image_reading import check_pixels, decode_photo
from pose_project.utils.errors import UnreadablePhotoError

# those that browsers show; Pillow's other decoders are not offered to strangers
FORMATS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif"}
Image.init()  # loads the decoders; asking for one that is not loaded is an error
HANG_UP = {"Connection": "close"}
"""Header of an answer given before all of the body was read: the rest is not waited for."""
_MAX_ASPECT = 100  # resizing to the model's size must leave at least a pixel of the shorter side
_MAX_CLIENTS = 10_000


@dataclass(frozen=True)
class Limits:
    """What the server takes.

    Attributes:
        max_bytes: of an uploaded file.
        max_pixels: of a photo, read from its header before it is decoded.
        max_waiting: requests at once, uploads included; more are answered 503, and more than half
            of it from one address 429.
        max_per_minute: requests of one client's address, answered 429 above; 0: any number.
        max_batch: photos that the model computes at once.
        batch_seconds: how long the first photo of a batch waits for others.
        upload_seconds: how long an upload may take.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 25_000_000
    max_waiting: int = 64
    max_per_minute: int = 600
    max_batch: int = 8
    batch_seconds: float = 0.005
    upload_seconds: float = 30.0


class ClientRates:
    """A token bucket for each address: ``per_minute`` requests, a tenth of them at once.

    Args:
        per_minute: 0 lets everything pass.
        clock: seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_minute / 60
        self.burst = max(per_minute / 10, 1.0)
        self.clock = clock
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, address: str) -> float:
        """Count a request; return 0 if it may pass, else after how long the next one may."""
        if not self.per_second:
            return 0.0
        now = self.clock()
        tokens, since = self.buckets.pop(address, (self.burst, now))
        tokens = min(tokens + (now - since) * self.per_second, self.burst)
        passes = tokens >= 1
        self.buckets[address] = (tokens - passes, now)
        if len(self.buckets) > _MAX_CLIENTS:
            self.buckets.popitem(last=False)  # the one not heard of for longest
        return 0.0 if passes else (1 - tokens) / self.per_second


async def read_body(chunks: AsyncIterator[bytes], announced: str | None, limits: Limits) -> bytes:
    """Return an upload; of one that is too large no more than the limit is ever held.

    Args:
        chunks: of the body, as they arrive.
        announced: the request's Content-Length, None where it is sent in chunks.
        limits: on bytes and time.

    Raises:
        HTTPException: 413, 408 or, for nothing at all, 422.
    """
    too_large = HTTPException(413, f"the file is larger than {limits.max_bytes} bytes", HANG_UP)
    if announced is not None and announced.isdigit() and int(announced) > limits.max_bytes:
        raise too_large
    data = bytearray()
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in chunks:
                if len(data) + len(chunk) > limits.max_bytes:
                    raise too_large
                data += chunk
    except TimeoutError:
        message = f"the upload took longer than {limits.upload_seconds:g} s"
        raise HTTPException(408, message, HANG_UP) from None
    if not data:
        raise HTTPException(422, "the body is empty: send a photo's bytes")
    return bytes(data)


def decode_upload(data: bytes, max_pixels: int) -> np.ndarray:
    """Return the photo in an upload: (H, W, 3) uint8 BGR, turned as its EXIF data say.

    Raises:
        HTTPException: 413 if it has too many pixels, 415 if it is not a photo of a known kind, 422
            if it is damaged or has a form that the model cannot take.
    """
    _check_header(data, max_pixels)
    try:
        return decode_photo(data, "BGR")
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        reason = " ".join(str(error).split())
        raise HTTPException(422, f"the photo is damaged: {reason}") from error


def _check_header(data: bytes, max_pixels: int) -> None:
    kinds = ", ".join(sorted({kind.upper() for kind in FORMATS.values()}))
    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as header:
            width, height = header.size
            is_large = width * height > max_pixels
            if not is_large:
                check_pixels(header)
    except UnreadablePhotoError as error:
        raise HTTPException(415, f"the photo is not taken: {error}") from error
    except Image.DecompressionBombError as error:
        raise HTTPException(413, f"the photo has more than {max_pixels} pixels") from error
    except Exception as error:
        raise HTTPException(
            415,
            "the body is not a photo that can be read; send the file itself, as curl --data-binary "
            f"does: {kinds}",
        ) from error
    if is_large:
        size = f"{width} x {height}"
        raise HTTPException(413, f"the photo has {size} pixels, more than {max_pixels} in all")
    if max(width, height) > _MAX_ASPECT * min(width, height):
        raise HTTPException(422, f"{width} x {height} pixels are too long and thin for a photo")
