"""Keypoints, boxes and masks moved with their photo.

Legend: N people, K keypoints. The space *before* is the photo's, the space *after* that of the
augmented picture; both continuous, in pixels. The region is the convex polygon of the photo's own
pixels in the space after, see ``AugmentedImage``; None if the picture is the whole photo.
"""

from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from detectron2.data import transforms as T

from pose_project.data.augmentation.polygons import (
    bounds,
    clip_polygon,
    inscribed_ellipse,
    is_inside,
    rectangle,
    tight_box,
)

_KEPT_PX = 1e-3  # a box that reaches this far out of the region counts as inside
_AXIS = 1e-4  # directions closer to an axis than this (in radians) count as parallel to it


def linear_part(transforms: T.Transform, size_hw: tuple[int, int]) -> np.ndarray:
    """Return the (2, 2) matrix of affine transforms: what they do to (right, down).

    Args:
        transforms: from the space before to the space after.
        size_hw: height and width of the photo before.
    """
    height, width = size_hw
    step = np.array([width / 4, height / 4])
    probe = np.array([width, height]) / 2 + np.array([[0, 0], [step[0], 0], [0, step[1]]])
    origin, right, down = transforms.apply_coords(probe)
    return np.column_stack([right - origin, down - origin]) / step


def is_mirror(linear: np.ndarray) -> bool:
    """Return whether left becomes right: a mirror in any direction does that, a turn never."""
    return bool(np.linalg.det(linear) < 0)


def is_turned(linear: np.ndarray) -> bool:
    """Return whether upright boxes do not stay upright; quarter turns keep them so."""
    size = np.abs(linear)
    tolerance = _AXIS * size.max()
    return bool(np.diag(size).max() > tolerance and np.diag(size[::-1]).max() > tolerance)


def move_keypoints(
    keypoints: np.ndarray,
    transforms: T.Transform,
    picture_hw: tuple[int, int],
    region: np.ndarray | None,
    swap_indices: np.ndarray | None,
) -> np.ndarray:
    """Return keypoints moved with the photo.

    Args:
        keypoints: (N, K, 3) as (x, y, v) before; not changed.
        transforms: what was done to the photo.
        picture_hw: height and width after.
        region: see above.
        swap_indices: the row that each row takes if the photo was mirrored, else None.

    Returns:
        (N, K, 3) float64 after. Points outside the photo have v = 0; where v = 0, x and y are 0
        (COCO's convention).
    """
    moved = keypoints.astype(np.float64, copy=True)
    points = transforms.apply_coords(moved[..., :2].reshape(-1, 2))
    height, width = picture_hw
    inside = ((points >= 0) & (points <= (width, height))).all(axis=1)
    if region is not None:
        inside &= is_inside(points, region)
    moved[..., :2] = points.reshape(*moved.shape[:2], 2)
    moved[~inside.reshape(moved.shape[:2]) | (moved[..., 2] == 0)] = 0
    return moved if swap_indices is None else moved[:, swap_indices]


def move_boxes(
    boxes: np.ndarray,
    people: list[dict[str, Any]],
    keypoints: np.ndarray,
    transforms: T.Transform,
    linear: np.ndarray,
    picture_hw: tuple[int, int],
    region: np.ndarray | None,
) -> np.ndarray:
    """Return boxes around what is left of each person.

    Where boxes stay upright and nothing is cut off, they move as in Detectron2. Else a person's box
    is the tight box of the mask, as far as it is in the region. Without a mask a cut box is what is
    left of it, and a turned one is the box of its inscribed ellipse, turned (Kalra et al., "Towards
    Rotation Invariance in Object Detection", ICCV 2021: the box of the turned corners is far too
    large), and holds the labelled keypoints that are left.

    Args:
        boxes: (N, 4) XYXY_ABS before.
        people: N annotations, with or without ``segmentation``.
        keypoints: (N, K, 3) after.
        transforms: what was done to the photo.
        linear: their linear part.
        picture_hw: height and width after.
        region: see above.

    Returns:
        (N, 4) XYXY_ABS after, in the picture; without area where nothing is left.
    """
    height, width = picture_hw
    moved = transforms.apply_box(boxes).reshape(-1, 4)
    clipped = np.clip(moved, 0, (width, height, width, height))
    turned = is_turned(linear)
    if region is None and not turned:
        return clipped
    region = rectangle(picture_hw) if region is None else region
    for i, person in enumerate(people):
        corners = moved[i].reshape(2, 2)
        if turned or not is_inside(corners, region, _KEPT_PX).all():
            box = _box_of_rest(boxes[i], person, keypoints[i], transforms, turned, region)
            clipped[i] = 0 if box is None else np.clip(box, 0, (width, height, width, height))
    return clipped


def move_mask(
    segmentation: list[Any] | dict[str, Any],
    transforms: T.Transform,
    region: np.ndarray | None,
) -> list[np.ndarray] | np.ndarray:
    """Return a mask after: polygons as flat (x, y, x, y, ...), or from RLE an (H, W) bool array."""
    if isinstance(segmentation, dict):
        return _move_bitmap(segmentation, transforms)
    moved = _move_polygons(segmentation, transforms)
    if region is not None:
        moved = [clip_polygon(each, region) for each in moved]
    return [each.reshape(-1) for each in moved if len(each)]


def _box_of_rest(
    box: np.ndarray,
    person: dict[str, Any],
    keypoints: np.ndarray,
    transforms: T.Transform,
    turned: bool,
    region: np.ndarray,
) -> np.ndarray | None:
    segmentation = person.get("segmentation")
    if isinstance(segmentation, dict):
        rows, columns = np.nonzero(_move_bitmap(segmentation, transforms))
        pixels = np.column_stack([columns, rows])
        return bounds(np.concatenate([pixels, pixels + 1]))
    if segmentation:
        return tight_box(_move_polygons(segmentation, transforms), region)
    if not turned:
        x0, y0, x1, y1 = box
        return tight_box(
            [transforms.apply_coords(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))], region
        )
    rest = tight_box([transforms.apply_coords(inscribed_ellipse(box))], region)
    labelled = keypoints[keypoints[:, 2] > 0, :2]
    return bounds(labelled if rest is None else np.concatenate([rest.reshape(2, 2), labelled]))


def _move_polygons(polygons: list[Any], transforms: T.Transform) -> list[np.ndarray]:
    # point by point: fvcore's CropTransform.apply_polygons needs shapely
    return [
        transforms.apply_coords(np.array(each, dtype=np.float64).reshape(-1, 2))
        for each in polygons
    ]


def _move_bitmap(rle: dict[str, Any], transforms: T.Transform) -> np.ndarray:
    # 1, since Detectron2 pads masks with 255
    return transforms.apply_segmentation(mask_util.decode(rle)) == 1
