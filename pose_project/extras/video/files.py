"""Videos in and out, by PyAV (the libraries of FFmpeg)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np

from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path

_FALLBACK_RATE = Fraction(25)  # of files that say neither their rate nor when a frame is shown
_PLAUSIBLE_RATES = range(1, 251)  # frames a second; browsers' recordings claim 1,000
_CLOCK = 90_000  # ticks a second of the videos that are written, as in MPEG
_QUALITY = "20"  # x264's constant rate factor: 0 is lossless, 23 its default, lower is better


def pyav() -> ModuleType:
    """Return the module ``av``.

    Raises:
        InputError: if PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise InputError("videos need PyAV: pip install av") from error
    return av


class Frame(NamedTuple):
    """A frame of a video."""

    image: np.ndarray
    """(H, W, 3) uint8 BGR, turned as the file says."""
    seconds: float
    """When it is shown; the first frame's is 0."""


class VideoReader:
    """The frames of a video file, from the first to the last that can be read.

    Each frame has the time that the file gives it, so frames may last differently long. Where the
    file gives none, they follow each other at its rate.

    Args:
        path: any file that FFmpeg reads.

    Attributes:
        problem: once all frames are read: why there are no more, or None at the proper end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in the order in which they are shown."""
        av = pyav()
        count = expected = 0
        try:
            with av.open(str(self._path)) as container:
                if not container.streams.video:
                    self.problem = "it has no pictures"
                    return
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                duration = 1 / float(_plausible_rate(stream))
                expected = stream.frames  # 0 if the file does not say
                first = last = None
                for frame in container.decode(stream):
                    count += 1
                    shown = frame.time
                    if shown is None or (last is not None and shown <= last):
                        shown = 0.0 if last is None else last + duration
                    first = shown if first is None else first
                    last = shown
                    image = _upright(frame.to_ndarray(format="bgr24"), frame.rotation)
                    yield Frame(image, shown - first)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.problem = f"after {count} frames: {reason}" if count else reason
            return
        if count == 0:
            self.problem = "it has no frames"
        elif count < expected:
            self.problem = f"it ends after {count} of {expected} frames"


class VideoWriter:
    """Writes an H.264 MP4 that browsers and players open; made by :func:`open_video`."""

    def __init__(self, path: Path) -> None:
        # the path's own suffix says nothing: it is temporary
        options = {"movflags": "+faststart"}
        self._container = pyav().open(str(path), "w", format="mp4", options=options)
        self._stream = None
        self._last_tick = -1

    def write(self, frame_bgr: np.ndarray, seconds: float) -> None:
        """Append a frame.

        The first one decides the size. A row or column is repeated where the size is odd,
        since in the format that every player knows (yuv420p) 2x2 pixels share a colour.

        Args:
            frame_bgr: (H, W, 3) uint8.
            seconds: when it is shown; later than the frame before.
        """
        if self._stream is None:
            height, width = frame_bgr.shape[:2]
            self._stream = self._container.add_stream("libx264", rate=_FALLBACK_RATE)
            self._stream.time_base = Fraction(1, _CLOCK)
            self._stream.codec_context.time_base = Fraction(1, _CLOCK)
            self._stream.width, self._stream.height = width + width % 2, height + height % 2
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"crf": _QUALITY}
        size_wh = (self._stream.width, self._stream.height)
        bottom, right = size_wh[1] - frame_bgr.shape[0], size_wh[0] - frame_bgr.shape[1]
        if bottom in (0, 1) and right in (0, 1):
            frame_bgr = cv2.copyMakeBorder(frame_bgr, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        else:  # some cameras change the size within a file
            frame_bgr = cv2.resize(frame_bgr, size_wh, interpolation=cv2.INTER_AREA)
        frame = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(frame_bgr), format="bgr24")
        self._last_tick = max(round(seconds * _CLOCK), self._last_tick + 1)
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _CLOCK)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder holds back, and the index."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    @property
    def is_empty(self) -> bool:
        """Whether no frame has been written."""
        return self._stream is None


@contextmanager
def open_video(path: Path) -> Iterator[VideoWriter]:
    """Yield a writer; the file is whole, or what it was before.

    Without any frame, nothing is written.

    Args:
        path: ends in ``.mp4``.

    Raises:
        OSError: if it cannot be written.
    """
    with suppress(_Empty), atomic_path(path) as temporary:
        writer = VideoWriter(temporary)
        try:
            yield writer
        finally:
            writer.close()
        if writer.is_empty:
            raise _Empty


class _Empty(Exception):  # noqa: N818 - not an error
    """Leaves the atomic write without a file."""


def _plausible_rate(stream: Any) -> Fraction:
    """Return the frames a second of a stream that says nothing about its frames' times."""
    rates = (stream.average_rate, stream.guessed_rate)
    return next((each for each in rates if each and int(each) in _PLAUSIBLE_RATES), _FALLBACK_RATE)


def _upright(image: np.ndarray, rotation: int) -> np.ndarray:
    """Turn an image counter-clockwise by degrees, as PyAV gives them; only right angles count."""
    turns = round(rotation / 90) % 4
    return np.rot90(image, turns) if turns else image
