"""A crop around one person."""

import numpy as np
from detectron2.data import transforms as T

from pose_project.utils.errors import InputError


class PersonCrop(T.Augmentation):
    """Crop to a square around a person chosen at random, as far as the photo reaches.

    Small people become large ones when the crop is resized. A photo without people stays whole.

    Args:
        margin: smallest and largest side of the square over the longer side of the person's box.
        shift: the person's centre is away from the square's by up to this share of its side.

    Raises:
        InputError: if ``margin`` is an empty range or below 1, or ``shift`` is outside [0, 0.5).
    """

    def __init__(self, margin: tuple[float, float] = (1.25, 2.5), shift: float = 0.1) -> None:
        super().__init__()
        if not 1 <= margin[0] <= margin[1]:
            raise InputError(f"PersonCrop: margin={tuple(margin)} must be (smallest, largest) >= 1")
        if not 0 <= shift < 0.5:
            raise InputError(f"PersonCrop: shift must be in [0, 0.5), got {shift}")
        self.margin, self.shift = tuple(margin), shift

    def get_transform(self, image: np.ndarray, boxes: np.ndarray) -> T.Transform:
        """Return the transform of an (H, W, C) photo with (N, 4) XYXY_ABS boxes of people."""
        height, width = image.shape[:2]
        boxes = np.clip(boxes, 0, (width, height, width, height))
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)]
        if len(boxes) == 0:
            return T.NoOpTransform()
        low, high = boxes[np.random.randint(len(boxes))].reshape(2, 2)
        side = (high - low).max() * np.random.uniform(*self.margin)
        corner = (low + high - side) / 2 + side * np.random.uniform(-self.shift, self.shift, 2)
        x0, y0 = np.floor(np.maximum(corner, 0)).astype(int)
        x1, y1 = np.ceil(np.minimum(corner + side, (width, height))).astype(int)
        return T.CropTransform(int(x0), int(y0), int(x1 - x0), int(y1 - y0), width, height)
