"""The frames of a camera, until somebody ends it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from pose_project.extras.video.files import Frame
from pose_project.utils.errors import InputError


class CameraReader:
    """The frames of a camera from now on; SIGINT (Ctrl+C) ends them and nothing else.

    Args:
        number: of the camera, as OpenCV counts them; the first is 0. A string is a file or address
            that OpenCV reads.

    Attributes:
        problem: None, since a camera has no proper end.

    Raises:
        InputError: if there is no such camera, or another program has it.
    """

    problem = None

    def __init__(self, number: int | str) -> None:
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise InputError(
                f"camera {number} cannot be opened: there is none, or another program uses it"
            )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame each time, with the seconds since the first."""
        start = None
        try:
            with _interrupts() as received:
                while not received:
                    is_there, image = self._capture.read()
                    if not is_there:
                        break
                    now = time.monotonic()
                    start = now if start is None else start
                    yield Frame(image, now - start)
        finally:  # also when nobody wants another frame
            self._capture.release()


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect SIGINT in a list instead of raising ``KeyboardInterrupt``."""
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
