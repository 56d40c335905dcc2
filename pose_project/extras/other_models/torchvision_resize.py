"""Resizing as torchvision's detection models do it, which is not as Detectron2 does."""

from collections.abc import Sequence

import numpy as np
from detectron2.data import transforms as T


class BilinearResize(T.Augmentation):
    """Scale the shorter side to a length, as far as the longer one stays within its limit.

    torchvision ``models/detection/transform.py``, ``_resize_image_and_masks``: floating point
    samples, bilinear without the low-pass filter of Pillow, sizes rounded down. Detectron2's
    ``ResizeShortestEdge`` filters, returns whole numbers and rounds sizes to the nearest.

    Args:
        short_edge_length: pixels, or several, of which each call chooses one.
        max_size: longest side, in pixels.
    """

    def __init__(self, short_edge_length: int | Sequence[int], max_size: int) -> None:
        super().__init__()
        self.short_edge_lengths = np.atleast_1d(short_edge_length)
        self.max_size = max_size

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """Return the transform of an (H, W, C) image."""
        height, width = image.shape[:2]
        length = int(np.random.choice(self.short_edge_lengths))
        scale = min(length / min(height, width), self.max_size / max(height, width))
        # int() as F.interpolate with recompute_scale_factor, of the same double precision product
        new_hw = (max(int(side * scale), 1) for side in (height, width))
        return FloatResizeTransform(height, width, *new_hw)


class FloatResizeTransform(T.ResizeTransform):
    """Detectron2's resizing as it treats images that are not uint8, for all images."""

    def apply_image(self, img: np.ndarray, interp: int | None = None) -> np.ndarray:
        """Return (new_h, new_w, C) float32; of the given dtype where ``interp`` is set (masks)."""
        return super().apply_image(img if interp is not None else img.astype(np.float32), interp)
