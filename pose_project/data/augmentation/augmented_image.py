"""The photo as augmentations see it."""

import cv2
import numpy as np
import torch
from detectron2.data import transforms as T
from fvcore.transforms.transform import HFlipTransform, NoOpTransform
from PIL import Image

from pose_project.data.augmentation.polygons import area, clip_polygon, rectangle

_ROUNDING_PX = 1e-6
_KEEP_WHOLE = (HFlipTransform, NoOpTransform, T.ResizeTransform)


class AugmentedImage(T.AugInput):
    """Detectron2's input of augmentations, which also knows what is left of the photo.

    A point that a crop cut off can lie in the picture again after padding; that it is gone can
    only be seen step by step.

    Args:
        image: (H, W, C) uint8.
        boxes: (N, 4) XYXY_ABS, for augmentations that look at people; moved as their corners.
        fast_resize: resize as Pillow does, but by torch's vectorised code, see ``resize_filtered``.

    Attributes:
        region: (M, 2) convex polygon of the photo's own pixels in the picture, in its coordinates;
            None while the picture is the whole photo and nothing else.
    """

    def __init__(self, image: np.ndarray, boxes: np.ndarray, fast_resize: bool) -> None:
        super().__init__(image, boxes=boxes)
        self.fast_resize = fast_resize
        self.region: np.ndarray | None = None

    def transform(self, tfm: T.Transform) -> None:
        """Transform photo, boxes and region."""
        for step in tfm.transforms if isinstance(tfm, T.TransformList) else [tfm]:
            before_hw = self.image.shape[:2]
            self.image = self._apply_to_image(step)
            if len(self.boxes):
                self.boxes = step.apply_box(self.boxes)
            if self.region is None and type(step) in _KEEP_WHOLE:
                continue
            before = rectangle(before_hw) if self.region is None else self.region
            picture = rectangle(self.image.shape[:2])
            moved = step.apply_coords(before.copy())
            beyond = np.maximum(-moved, moved - picture[2]).max(initial=0) > _ROUNDING_PX
            if beyond:
                moved = clip_polygon(moved, picture)
            is_whole = self.region is None and not beyond and _fills(moved, picture)
            self.region = None if is_whole else moved

    def _apply_to_image(self, step: T.Transform) -> np.ndarray:
        if type(step) is HFlipTransform:
            return cv2.flip(self.image, 1)  # fvcore's is a view that makes the next copy slow
        is_bilinear = type(step) is T.ResizeTransform and step.interp == Image.BILINEAR
        if self.fast_resize and is_bilinear and self.image.dtype == np.uint8:
            return resize_filtered(self.image, (step.new_h, step.new_w))
        return step.apply_image(self.image)


def _fills(region: np.ndarray, picture: np.ndarray) -> bool:
    size = area(picture)
    return abs(abs(area(region)) - size) < 1e-6 * size


def resize_filtered(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Return an (H, W, 3) uint8 photo at another size, bilinear with Pillow's low-pass filter.

    torch's integer kernel uses the same filter as Pillow with weights of 15 instead of 22 bits, so
    a few values in 1,000 at most differ, by 1 of 255. OpenCV's bilinear has no filter: where photos
    shrink to two thirds it differs by up to 24.
    """
    # as a batch of one, else torch does not see that channels come last, and copies
    pixels = torch.from_numpy(np.ascontiguousarray(image)).view(1, *image.shape).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(pixels, size_hw, mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def to_planes(image: np.ndarray) -> torch.Tensor:
    """Return (C, H, W) of an (H, W, C) picture, each channel contiguous, as models take it."""
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(np.ascontiguousarray(image), list(planes))
    return torch.from_numpy(planes)
