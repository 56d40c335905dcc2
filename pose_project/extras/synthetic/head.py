"""The head, painted per pixel: hair, face and skin are regions on the surface of an ellipsoid.

So the same few lines show a face from the front, hair from behind, and what is between in a half
turn. *Head units* below are the head's own axes (left, down, forward), each divided by its
radius; the surface is the unit sphere.
"""

import numpy as np

from pose_project.extras.synthetic.body_parts import Part
from pose_project.extras.synthetic.outfit import Colour, Outfit, shade
from pose_project.extras.synthetic.people import EYE_ON_HEAD, SIDES, Body
from pose_project.extras.synthetic.shapes import Shape, capsule
from pose_project.structures.schema import COCO_PERSON

_WHITE: Colour = (235.0, 235.0, 235.0)
_IRIS: Colour = (40.0, 30.0, 25.0)
_LIPS: Colour = (60.0, 50.0, 150.0)
_LIGHT = np.array([-0.35, -0.5, 0.79])


def head_depth(body: Body) -> float:
    """Return the depth of the head among the shapes of its body."""
    # The chin is in front of the neck and the collar.
    return float(body.head[2]) + 0.04


def head_shapes(body: Body, outfit: Outfit) -> list[Shape]:
    """Return what sticks out of the skull: the ears, the nose and long hair."""
    nose, left_ear, right_ear = (
        body.keypoints[COCO_PERSON.names.index(name)] for name in ("nose", "left_ear", "right_ear")
    )
    skull = head_depth(body)
    shapes = []
    for side, ear in zip(SIDES, (left_ear, right_ear), strict=True):
        # An ear at the far side shows only where it is past the outline of the skull.
        nearer = ear[2] - body.head[2] > -0.03
        depth = skull + 0.003 if nearer else skull - 0.003
        tip = ear - 0.014 * body.head_frame[:, 1]
        fills = (
            (capsule(ear, tip, (0.016, 0.017)), shade(outfit.skin, 0.65)),
            (capsule(ear, tip, (0.011, 0.012)), outfit.skin),
        )
        shapes.append(Shape(Part[f"EAR_{side.upper()}"], depth, fills))
    if nose[2] - body.head[2] > 0:
        bridge = nose - 0.025 * body.head_frame[:, 1]
        fills = (
            (capsule(bridge, nose, (0.007, 0.014)), shade(outfit.skin, 0.68)),
            (capsule(bridge, nose - 0.003, (0.005, 0.010)), shade(outfit.skin, 1.08)),
        )
        shapes.append(Shape(Part.NOSE, skull + 0.002, fills))
    if outfit.hair_style == "long":
        shapes += _long_hair(body, outfit)
    return shapes


def paint_head(
    colours: np.ndarray,
    parts: np.ndarray,
    body: Body,
    outfit: Outfit,
    scale: float,
    origin: np.ndarray,
) -> None:
    """Paint the skull on a canvas, in place.

    Args:
        colours: (H, W, 3) float32 BGR canvas.
        parts: (H, W) uint8 part numbers.
        body: whose head it is.
        outfit: its skin and hair.
        scale: canvas pixels per stature.
        origin: (2,) place of the body's origin on the canvas, continuous.
    """
    radii = np.asarray(body.proportions.head_radii)
    middle = origin + scale * body.head[:2]
    reach = scale * radii.max() + 2
    x0, y0 = np.maximum(np.floor(middle - reach), 0).astype(int)
    x1, y1 = np.ceil(middle + reach).astype(int)
    window = (slice(y0, y1), slice(x0, x1))
    height, width = parts[window].shape
    xs, ys = np.meshgrid(x0 + np.arange(width) + 0.5, y0 + np.arange(height) + 0.5)

    # Solve |to_head @ (x, y, z)| = 1 for the z nearest to the camera.
    to_head = body.head_frame.T / radii[:, None]
    plane = np.stack([xs - middle[0], ys - middle[1]], axis=-1) / scale @ to_head[:, :2].T
    ray = to_head[:, 2]
    a, b, c = ray @ ray, plane @ ray, (plane**2).sum(-1) - 1
    inside = b**2 - a * c > 0
    depth = (-b + np.sqrt(np.maximum(b**2 - a * c, 0))) / a
    surface = plane + depth[..., None] * ray

    normals = (surface / radii) @ body.head_frame.T
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    light = 0.80 + 0.28 * np.clip(normals @ _LIGHT, 0, 1)
    regions, numbers = _surface_colours(surface, outfit)
    colours[window][inside] = np.clip(regions * light[..., None], 0, 255)[inside]
    parts[window][inside] = numbers[inside]


def _surface_colours(surface: np.ndarray, outfit: Outfit) -> tuple[np.ndarray, np.ndarray]:
    """Return colours (H, W, 3) and part numbers (H, W) of points (H, W, 3) in head units."""
    left, down, forward = np.moveaxis(surface, -1, 0)
    hair = _is_hair(left, down, forward, outfit.hair_style)
    face = ~hair & (forward > 0.0)
    colours = np.empty(surface.shape, np.float32)
    colours[:] = outfit.skin

    across, eye_down = np.abs(left) - EYE_ON_HEAD[0], down - EYE_ON_HEAD[1]
    brow = (np.abs(across) < 0.20) & (np.abs(eye_down + 0.25) < 0.055)
    white = (across / 0.2) ** 2 + (eye_down / 0.14) ** 2 < 1
    iris = across**2 + eye_down**2 < 0.1**2
    mouth = (left / 0.34) ** 2 + ((down - 0.56 + 0.25 * left**2) / 0.085) ** 2 < 1
    for region, colour in (
        (brow, shade(outfit.hair, 0.7)),
        (white, _WHITE),
        (iris, _IRIS),
        (mouth, _LIPS),
    ):
        colours[face & region] = colour
    strands = 1 + 0.10 * np.sin(9 * left) * np.cos(5 * forward)
    colours[hair] = (np.asarray(outfit.hair) * strands[..., None])[hair]

    numbers = np.full(left.shape, Part.SKULL, np.uint8)
    numbers[face] = np.where(left > 0, Part.FACE_LEFT, Part.FACE_RIGHT)[face]
    return colours, numbers


def _is_hair(left: np.ndarray, down: np.ndarray, forward: np.ndarray, style: str) -> np.ndarray:
    if style == "bald":
        return (forward < -0.25) & (np.abs(down - 0.2) < 0.3)  # a wreath, so that a back differs
    crown = down < -0.52 + 0.15 * left**2
    if style == "short":
        return crown | ((forward < -0.05 - 0.5 * np.maximum(down, 0)) & (down < 0.62))
    return crown | (forward < 0.25) | ((np.abs(left) > 0.8) & (down < 0.8))


def _long_hair(body: Body, outfit: Outfit) -> list[Shape]:
    """Return hair over the ears and down the neck."""
    left, down, forward = body.head_frame.T
    radii = body.proportions.head_radii
    fall = body.head - 0.35 * radii[2] * forward
    tips = fall + 1.5 * radii[1] * down
    back = Shape(
        Part.SKULL,
        # Over the shoulders when seen from behind, else behind the neck.
        head_depth(body) + (0.004 if forward[2] < 0 else -0.12),
        (
            (capsule(fall, tips, (1.02 * radii[0], 0.85 * radii[0])), shade(outfit.hair, 0.8)),
            (capsule(fall, tips, (0.85 * radii[0], 0.65 * radii[0])), outfit.hair),
        ),
    )
    locks = []
    for sign in (1.0, -1.0):
        top = body.head + sign * 0.95 * radii[0] * left - 0.3 * radii[1] * down
        end = top + 1.25 * radii[1] * down
        if top[2] - body.head[2] > -0.04:
            outline = capsule(top, end, (0.3 * radii[0], 0.34 * radii[0]))
            fills = ((outline, shade(outfit.hair, 0.9)),)
            locks.append(Shape(Part.SKULL, head_depth(body) + 0.004, fills))
    return [back, *locks]
