"""Videos in and out, by PyAV (the libraries of FFmpeg)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path

_FALLBACK_RATE = Fraction(25)  # of files that do not say theirs
_MAX_DENOMINATOR = 65_535  # of a frame rate in MPEG-4
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


class VideoReader:
    """The frames of a video file, from the first to the last that can be read.

    Args:
        path: any file that FFmpeg reads.

    Attributes:
        rate: frames a second, the mean where frames last differently long.
        problem: once all frames are read: why there are no more, or None at the proper end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rate = _FALLBACK_RATE
        self.problem: str | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 BGR frames, turned as the file says."""
        av = pyav()
        count = expected = 0
        try:
            with av.open(str(self._path)) as container:
                if not container.streams.video:
                    self.problem = "it has no pictures"
                    return
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                rate = stream.average_rate or stream.guessed_rate or _FALLBACK_RATE
                self.rate = Fraction(rate).limit_denominator(_MAX_DENOMINATOR)
                expected = stream.frames  # 0 if the file does not say
                for frame in container.decode(stream):
                    count += 1
                    yield _upright(frame.to_ndarray(format="bgr24"), frame.rotation)
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

    def write(self, frame_bgr: np.ndarray, rate: Fraction) -> None:
        """Append a frame.

        The first one decides size and rate. A row or column is repeated where the size is odd,
        since in the format that every player knows (yuv420p) 2x2 pixels share a colour.

        Args:
            frame_bgr: (H, W, 3) uint8.
            rate: frames a second.
        """
        if self._stream is None:
            height, width = frame_bgr.shape[:2]
            self._stream = self._container.add_stream("libx264", rate=rate)
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


class _Empty(Exception):  # noqa: N818 - no error
    """Leaves the atomic write without a file."""


def _upright(image: np.ndarray, rotation: int) -> np.ndarray:
    """Turn an image counter-clockwise by degrees, as PyAV gives them; only right angles count."""
    turns = round(rotation / 90) % 4
    return np.rot90(image, turns) if turns else image
