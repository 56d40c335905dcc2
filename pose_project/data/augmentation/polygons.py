"""Polygons cut by a convex window, and the boxes of what remains.

A polygon is (N, 2) as (x, y) in continuous coordinates; either direction, its last point is joined
to the first.
"""

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np

_SAME_PX = 1e-6  # rounding of coordinates, in pixels
_ELLIPSE_POINTS = 128


def rectangle(size_hw: tuple[int, int]) -> np.ndarray:
    """Return the outline of a picture, (4, 2)."""
    height, width = size_hw
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)


def area(polygon: np.ndarray) -> float:
    """Return the area in px^2, negative if the direction is counter-clockwise as seen."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def is_inside(points: np.ndarray, window: np.ndarray, tolerance_px: float = _SAME_PX) -> np.ndarray:
    """Return (N,) bool: which (N, 2) points are in a convex window or so far outside of it."""
    if len(window) == 0:
        return np.zeros(len(points), dtype=bool)
    return np.min([depth(points) for depth in _half_planes(window)], axis=0) >= -tolerance_px


def clip_polygon(polygon: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the part of a polygon in a convex window, (L, 2); no points if there is none.

    Sutherland and Hodgman, "Reentrant polygon clipping", 1974. Parts that the window separates
    stay joined by edges along its border, which enclose nothing.
    """
    if len(window) == 0:
        return polygon[:0]
    for depth in _half_planes(window):
        polygon = _clip_half_plane(polygon, depth(polygon))
    return polygon if len(polygon) > 2 and abs(area(polygon)) > _SAME_PX else polygon[:0]


def tight_box(polygons: Iterable[np.ndarray], window: np.ndarray) -> np.ndarray | None:
    """Return the smallest XYXY_ABS box of what polygons show in a convex window, None if nothing.

    Edges along the border that only join two parts do not count: they go round corners of the
    window, so a corner counts only if it is in the polygon itself.
    """
    points = []
    for polygon in polygons:
        clipped = clip_polygon(polygon, window)
        if len(clipped) and len(clipped) != len(polygon):
            to_corners = np.linalg.norm(clipped[:, None] - window, axis=2).min(axis=1)
            outline = polygon.astype(np.float32)
            keep = [
                distance > _SAME_PX or cv2.pointPolygonTest(outline, point, True) > -0.01
                for distance, point in zip(to_corners, clipped.tolist(), strict=True)
            ]
            clipped = clipped[keep]
        points.append(clipped)
    return bounds(np.concatenate(points)) if points else None


def bounds(points: np.ndarray) -> np.ndarray | None:
    """Return the XYXY_ABS box of (N, 2) points, None if there are none."""
    if len(points) == 0:
        return None
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def inscribed_ellipse(box: np.ndarray) -> np.ndarray:
    """Return the ellipse that touches an XYXY_ABS box's four sides, as a polygon."""
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    centre, radii = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return centre + radii * np.column_stack([np.cos(angles), np.sin(angles)])


def _half_planes(window: np.ndarray) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Yield, for each side of a convex window, the function of signed distances to it."""
    clockwise = window if area(window) > 0 else window[::-1]
    for start, end in zip(clockwise, np.roll(clockwise, -1, axis=0), strict=True):
        along = end - start
        length = np.hypot(*along)
        if length > _SAME_PX:
            normal = np.array([-along[1], along[0]]) / length
            yield lambda points, normal=normal, start=start: (points - start) @ normal


def _clip_half_plane(polygon: np.ndarray, depth: np.ndarray) -> np.ndarray:
    inside = depth >= -_SAME_PX
    if inside.all():
        return polygon
    crosses = inside != np.roll(inside, -1)
    change = np.where(crosses, depth - np.roll(depth, -1), 1.0)
    share = np.clip(depth / change, 0, 1)[:, None]
    cut = polygon + share * (np.roll(polygon, -1, axis=0) - polygon)
    # each vertex that stays, followed by the place where its edge crosses the line
    both = np.stack([polygon, cut], axis=1).reshape(-1, 2)
    return both[np.column_stack([inside, crosses]).reshape(-1)]
