"""Rotation and scale in one resampling, with an exact inverse."""

import cv2
import numpy as np
from detectron2.data import transforms as T

from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.errors import InputError

GREY = 128  # what Detectron2's FixedSizeCrop pads with; near the mean of all photos


class AffineTransform(T.Transform):
    """Any affine map of photo, points, boxes and masks.

    Against Detectron2's ``RotationTransform``: it also scales, its inverse is exact (the stock one
    is half a pixel off where the turned photo's side differs from the photo's by an odd number,
    and there is none without ``expand``), and corners that come from outside are grey, not black.

    Args:
        matrix: (2, 3), from the coordinates before to those after, both continuous, in pixels. A
            negative determinant is a mirror, and the mapper then swaps left and right.
        input_size_hw: height and width of the photo before.
        output_size_hw: height and width of the photo after.
        fill: value in [0, 255] of what comes from outside the photo; 0 in masks.

    Raises:
        ValueError: if the matrix cannot be inverted.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        input_size_hw: tuple[int, int],
        output_size_hw: tuple[int, int],
        fill: float = GREY,
    ) -> None:
        super().__init__()
        self.matrix = np.asarray(matrix, dtype=np.float64)
        if abs(np.linalg.det(self.matrix[:, :2])) < 1e-9:
            raise ValueError(f"the matrix {self.matrix.tolist()} maps photos onto a line")
        self.input_size_hw = tuple(input_size_hw)
        self.output_size_hw = tuple(output_size_hw)
        self.fill = fill

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Return the (H', W', C) photo of the dtype given, bilinearly resampled."""
        return self._warp(img, cv2.INTER_LINEAR, self.fill)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """Return the (H', W') mask of the dtype given: the nearest pixels, 0 outside."""
        warped = self._warp(segmentation.astype(np.uint8), cv2.INTER_NEAREST, 0)
        return warped.astype(segmentation.dtype)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Return (N, 2) points in the space after."""
        return coords @ self.matrix[:, :2].T + self.matrix[:, 2]

    def inverse(self) -> "AffineTransform":
        """Return the map back."""
        linear = np.linalg.inv(self.matrix[:, :2])
        matrix = np.column_stack([linear, -linear @ self.matrix[:, 2]])
        return AffineTransform(matrix, self.output_size_hw, self.input_size_hw, self.fill)

    def _warp(self, image: np.ndarray, interpolation: int, fill: float) -> np.ndarray:
        # OpenCV counts from the centre of the first pixel, which is at one half of ours
        in_pixels = self.matrix.copy()
        in_pixels[:, 2] += self.matrix[:, :2].sum(axis=1) * PIXEL_CENTRE - PIXEL_CENTRE
        height, width = self.output_size_hw
        channels = image.shape[2] if image.ndim == 3 else 1
        warped = cv2.warpAffine(
            np.ascontiguousarray(image),
            in_pixels,
            (width, height),
            flags=interpolation,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill,) * channels,
        )
        return warped.reshape(height, width, *image.shape[2:])  # OpenCV drops a single channel


class RandomAffine(T.Augmentation):
    """Turn and scale a photo about its centre; its size stays, so corners are cut off or grey.

    Args:
        angle: smallest and largest turn in degrees, clockwise as seen.
        scale: smallest and largest enlargement, drawn on a logarithmic scale.
        fill: value in [0, 255] of what comes from outside the photo.

    Raises:
        InputError: if a range is empty or a scale not positive.
    """

    def __init__(
        self,
        angle: tuple[float, float] = (-30.0, 30.0),
        scale: tuple[float, float] = (1.0, 1.0),
        fill: float = GREY,
    ) -> None:
        super().__init__()
        if angle[0] > angle[1] or not 0 < scale[0] <= scale[1]:
            raise InputError(
                f"RandomAffine: angle={tuple(angle)} and scale={tuple(scale)} must each be "
                "(smallest, largest), and a scale above 0"
            )
        self.angle, self.scale, self.fill = tuple(angle), tuple(scale), fill

    def get_transform(self, image: np.ndarray) -> AffineTransform:
        """Return the transform of an (H, W, C) photo."""
        height, width = image.shape[:2]
        angle = np.deg2rad(np.random.uniform(*self.angle))
        scale = np.exp(np.random.uniform(*np.log(self.scale)))
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.array([width, height]) / 2
        matrix = np.column_stack([linear, centre - linear @ centre])
        return AffineTransform(matrix, (height, width), (height, width), self.fill)
