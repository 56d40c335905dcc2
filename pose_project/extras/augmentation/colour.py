"""Changes of colour and sharpness, which move nothing."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.data import transforms as T

from pose_project.utils.errors import InputError


class InRGB(T.AugmentationList):
    """Show Detectron2's colour augmentations the photo in the order that they are made for.

    ``RandomSaturation`` and ``RandomLighting`` weigh red, green and blue, in this order; fed with
    BGR, which most models take, they take blue for red.

    Args:
        augmentations: applied in order.
        image_format: the photo's channel order, ``"BGR"`` or ``"RGB"``.
    """

    def __init__(
        self, augmentations: Sequence[T.Augmentation | T.Transform], image_format: str
    ) -> None:
        if image_format not in ("BGR", "RGB"):
            raise InputError(f"image_format is 'BGR' or 'RGB', got {image_format!r}")
        turned = [T.ColorTransform(_swap_red_and_blue)] if image_format == "BGR" else []
        super().__init__([*turned, *augmentations, *turned])


class Grey(InRGB):
    """Take the colours out; the photo keeps three channels.

    Args:
        image_format: the photo's channel order, ``"BGR"`` or ``"RGB"``.
    """

    def __init__(self, image_format: str) -> None:
        super().__init__([T.RandomSaturation(0.0, 0.0)], image_format)


def _swap_red_and_blue(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, :, ::-1])


class RandomBlur(T.Augmentation):
    """Blur as a photo out of focus.

    Args:
        sigma: smallest and largest standard deviation of the Gaussian, in pixels.

    Raises:
        InputError: if the range is empty or not positive.
    """

    def __init__(self, sigma: tuple[float, float] = (0.5, 2.0)) -> None:
        super().__init__()
        if not 0 < sigma[0] <= sigma[1]:
            raise InputError(
                f"RandomBlur: sigma={tuple(sigma)} must be (smallest, largest) above 0"
            )
        self.sigma = tuple(sigma)

    def get_transform(self, image: np.ndarray) -> T.ColorTransform:
        """Return the transform of an (H, W, C) photo."""
        del image
        sigma = np.random.uniform(*self.sigma)
        return T.ColorTransform(
            lambda photo: cv2.GaussianBlur(np.ascontiguousarray(photo), (0, 0), sigma)
        )
