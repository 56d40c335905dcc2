"""Paint one person on a small canvas of their own: colours, coverage and which part is where."""

from dataclasses import dataclass

import cv2
import numpy as np

from pose_project.extras.synthetic.body_poses import sample_pose
from pose_project.extras.synthetic.head import head_depth, head_shapes, paint_head
from pose_project.extras.synthetic.levels import Level
from pose_project.extras.synthetic.outfit import Colour, Outfit, sample_outfit
from pose_project.extras.synthetic.people import Body, build_body, sample_proportions, sample_turn
from pose_project.extras.synthetic.shapes import Shape, body_shapes

_SUPERSAMPLE = 2
_SHIFT = 4  # fractional bits of cv2's polygon corners
_MARGIN = 2  # empty pixels around the figure


@dataclass(frozen=True)
class Figure:
    """A painted person.

    Args:
        colours: (H, W, 3) uint8 BGR, black where there is nobody and mixed with black at edges.
        alpha: (H, W) uint8, how much of each pixel the person covers, 255 for all of it.
        parts: (H, W) uint8 numbers of ``Part``, 0 where ``alpha`` < 128.
        joints: (17, 3) in COCO's order: x and y in continuous coordinates of this canvas in
            pixels, and the depth in front of the middle of the trunk in statures.
    """

    colours: np.ndarray
    alpha: np.ndarray
    parts: np.ndarray
    joints: np.ndarray

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """The box of the figure on its canvas, right and bottom exclusive."""
        columns = np.flatnonzero(self.parts.any(axis=0))
        rows = np.flatnonzero(self.parts.any(axis=1))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def sample_figure(
    rng: np.random.Generator, level: Level, height_px: tuple[float, float], surroundings: Colour
) -> Figure:
    """Draw body, size, pose, direction and clothes of a person by lot and paint them.

    Args:
        rng: source of all that is drawn by lot.
        level: its shares of poses and directions.
        height_px: range of the height of the whole posed figure. The stature is drawn from it, so
            that people who sit or squat are mostly smaller, as they are.
        surroundings: mean BGR colour that the clothes should differ from.
    """
    body = build_body(
        sample_proportions(rng),
        sample_pose(rng, level.unusual_share),
        sample_turn(rng, level.back_share, level.max_turn_deg),
        camera_pitch=rng.uniform(3, 13),
    )
    outfit = sample_outfit(rng, surroundings)
    return paint_figure(body, outfit, rng.uniform(*height_px), height_px)


def paint_figure(
    body: Body, outfit: Outfit, stature_px: float, height_px: tuple[float, float]
) -> Figure:
    """Paint a body.

    Args:
        body: the posed body, in statures.
        outfit: its colours.
        stature_px: pixels per stature, unless the figure's height would leave ``height_px``.
        height_px: shortest and tallest allowed height of the whole posed figure in pixels.
    """
    shapes = body_shapes(body, outfit) + head_shapes(body, outfit)
    low, high = _bounds(shapes, body)
    tall = high[1] - low[1]
    scale = float(np.clip(stature_px * tall, *height_px)) / tall
    width, height = np.ceil((high - low) * scale).astype(int) + 2 * _MARGIN
    origin = _MARGIN - low * scale

    colours = np.zeros((height * _SUPERSAMPLE, width * _SUPERSAMPLE, 3), np.float32)
    parts = np.zeros(colours.shape[:2], np.uint8)
    fine_scale, fine_origin = scale * _SUPERSAMPLE, origin * _SUPERSAMPLE
    head_at = head_depth(body)
    shapes = sorted(shapes, key=lambda shape: shape.depth)
    for shape in (shape for shape in shapes if shape.depth <= head_at):
        _fill(colours, parts, shape, fine_scale, fine_origin)
    paint_head(colours, parts, body, outfit, fine_scale, fine_origin)
    for shape in (shape for shape in shapes if shape.depth > head_at):
        _fill(colours, parts, shape, fine_scale, fine_origin)

    size_wh = (int(width), int(height))
    alpha = cv2.resize((parts > 0) * np.uint8(255), size_wh, interpolation=cv2.INTER_AREA)
    joints = body.keypoints.copy()
    joints[:, :2] = joints[:, :2] * scale + origin
    joints[:, 2] -= body.neck[2] / 2
    return Figure(
        colours=cv2.resize(colours, size_wh, interpolation=cv2.INTER_AREA).round().astype(np.uint8),
        alpha=alpha,
        parts=np.where(alpha >= 128, _coarse(parts), 0).astype(np.uint8),
        joints=joints,
    )


def _bounds(shapes: list[Shape], body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest x and y (2,) of a whole figure, in statures."""
    polygons = [polygon for shape in shapes for polygon, _ in shape.fills]
    # Half extents of the head's ellipsoid along x and y.
    head = np.linalg.norm(body.head_frame[:2] * body.proportions.head_radii, axis=1)
    corners = [body.head[:2] - head, body.head[:2] + head]
    points = np.concatenate([*polygons, corners])
    return points.min(axis=0), points.max(axis=0)


def _fill(
    colours: np.ndarray, parts: np.ndarray, shape: Shape, scale: float, origin: np.ndarray
) -> None:
    for polygon, colour in shape.fills:
        # cv2 has the middle of a pixel at whole numbers.
        corners = np.round((polygon * scale + origin - 0.5) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(colours, [corners], colour, shift=_SHIFT)
        cv2.fillPoly(parts, [corners], int(shape.part), shift=_SHIFT)


def _coarse(parts: np.ndarray) -> np.ndarray:
    """Return the largest part number of each block; the features of a face have large numbers."""
    height, width = parts.shape
    blocks = parts.reshape(height // _SUPERSAMPLE, _SUPERSAMPLE, width // _SUPERSAMPLE, -1)
    return blocks.max(axis=(1, 3))
