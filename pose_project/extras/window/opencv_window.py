"""A window that shows what is drawn."""

import os
import sys

import cv2
import numpy as np

from pose_project.utils.errors import InputError

_TITLE = "poses (q closes)"
_QUIT = (ord("q"), 27)  # 27: Esc


class Window:
    """Shows pictures: a photo until a key is pressed, frames of a video as they come.

    Attributes:
        is_closed: q or Esc was pressed; nothing is shown any more.

    Raises:
        InputError: if there is no display.
    """

    def __init__(self) -> None:
        if sys.platform.startswith("linux") and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise InputError("--show needs a display, and there is none; the drawings are files")
        self.is_closed = False

    def show(self, picture_bgr: np.ndarray, seconds: float | None) -> None:
        """Show an (H, W, 3) uint8 picture.

        Args:
            picture_bgr: blue, green, red.
            seconds: of a video's frame, None for a photo, which waits for a key.
        """
        if self.is_closed:
            return
        try:
            cv2.imshow(_TITLE, picture_bgr)
            key = cv2.waitKey(0 if seconds is None else 1) & 0xFF
        except cv2.error as error:
            raise InputError(f"--show: this OpenCV cannot open windows: {error.err}") from error
        if key in _QUIT:
            self.is_closed = True
            cv2.destroyWindow(_TITLE)
