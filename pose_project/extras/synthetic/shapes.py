"""Turn a posed body and an outfit into flat coloured shapes, each with a depth.

Everything is in statures in camera coordinates (see ``people.py``). Larger depths are nearer to
the camera and are painted later.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pose_project.extras.synthetic.body_parts import Part
from pose_project.extras.synthetic.outfit import Colour, Outfit, shade
from pose_project.extras.synthetic.people import SIDES, Body
from pose_project.structures.schema import COCO_PERSON

_FRONT, _BACK = 1.0, -1.0
_OUTLINE = 0.006  # dark edge that keeps a limb apart from a trunk of the same cloth
_LIGHT = np.array([-0.6, -0.8])  # where the light comes from, in the plane of the photo
_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)

# Half width and half thickness of the trunk at shares of the way from the hips to the shoulders.
_TRUNK_SECTIONS = (
    (-0.14, 0.088, 0.058),
    (0.0, 0.106, 0.066),
    (0.3, 0.090, 0.060),
    (0.75, 0.112, 0.070),
    (1.0, 0.118, 0.050),
    (1.07, 0.060, 0.036),
)


@dataclass(frozen=True)
class Shape:
    """One part of the body: polygons (N, 2) to fill one after another with BGR colours."""

    part: Part
    depth: float
    fills: tuple[tuple[np.ndarray, Colour], ...]


def body_shapes(body: Body, outfit: Outfit) -> list[Shape]:
    """Return all shapes but the head's, in no particular order."""
    shapes = [_neck(body, outfit), _trunk(body, outfit)]
    for index, side in enumerate(SIDES):
        shapes += _arm(body, outfit, index, side) + _leg(body, outfit, index, side)
    return shapes


def capsule(start: np.ndarray, end: np.ndarray, radii: tuple[float, float]) -> np.ndarray:
    """Return the outline (N, 2) of two discs and everything between them."""
    discs = np.concatenate([start[:2] + radii[0] * _CIRCLE, end[:2] + radii[1] * _CIRCLE])
    return cv2.convexHull(discs.astype(np.float32))[:, 0]


def _limb(
    part: Part, start: np.ndarray, end: np.ndarray, radii: tuple[float, float], colour: Colour
) -> Shape:
    """Return a tapered limb with a dark edge and a lit side; its depth is that of its middle."""
    edge = (radii[0] + _OUTLINE, radii[1] + _OUTLINE)
    lit = _LIGHT * 0.3
    return Shape(
        part,
        float(start[2] + end[2]) / 2,
        (
            (capsule(start, end, edge), shade(colour, 0.55)),
            (capsule(start, end, radii), shade(colour, 0.88)),
            (
                capsule(
                    start[:2] + lit * radii[0],
                    end[:2] + lit * radii[1],
                    (0.55 * radii[0], 0.55 * radii[1]),
                ),
                shade(colour, 1.06),
            ),
        ),
    )


def _raised(shape: Shape, nearer: float, *more: tuple[np.ndarray, Colour]) -> Shape:
    """Return the shape nearer to the camera and with further fills."""
    return Shape(shape.part, shape.depth + nearer, shape.fills + more)


def _arm(body: Body, outfit: Outfit, index: int, side: str) -> list[Shape]:
    girth = body.proportions.girth
    shoulder, elbow, wrist = _joints(body, side, ("shoulder", "elbow", "wrist"))
    hand = body.knuckles[index]
    r_shoulder, r_elbow, r_wrist = 0.040 * girth, 0.031 * girth, 0.021 * girth
    sleeve = outfit.shirt if outfit.long_sleeves else outfit.skin
    upper = _limb(_part("UPPER_ARM", side), shoulder, elbow, (r_shoulder, r_elbow), sleeve)
    if not outfit.long_sleeves:
        hem = shoulder + 0.55 * (elbow - shoulder)
        cloth = _limb(upper.part, shoulder, hem, (r_shoulder * 1.05, r_elbow * 1.3), outfit.shirt)
        upper = _raised(upper, 0.0, *cloth.fills)
    lower = _limb(_part("FOREARM", side), elbow, wrist, (r_elbow, r_wrist), sleeve)
    fist = _limb(_part("HAND", side), wrist, hand, (0.018 * girth, 0.023 * girth), outfit.skin)
    # A hanging arm is in front of the trunk's edge, a hand in front of its own cuff.
    return [_raised(upper, 0.03), _raised(lower, 0.035), _raised(fist, 0.03)]


def _leg(body: Body, outfit: Outfit, index: int, side: str) -> list[Shape]:
    girth = body.proportions.girth
    hip, knee, ankle = _joints(body, side, ("hip", "knee", "ankle"))
    r_hip, r_knee, r_ankle = 0.061 * girth, 0.044 * girth, 0.029 * girth
    cloth = outfit.trousers
    thigh = _limb(_part("THIGH", side), hip, knee, (r_hip, r_knee), cloth)
    shin_colour = cloth if outfit.long_trousers else outfit.skin
    shin = _limb(_part("SHIN", side), knee, ankle, (r_knee * 0.96, r_ankle), shin_colour)
    shoe = _limb(
        _part("FOOT", side), body.heels[index], body.toes[index], (0.024, 0.021), outfit.shoes
    )
    return [_raised(thigh, -0.02), _raised(shin, -0.025), _raised(shoe, -0.01)]


def _neck(body: Body, outfit: Outfit) -> Shape:
    radius = 0.032 * body.proportions.girth
    shape = _limb(Part.NECK, body.neck, body.head, (radius * 1.1, radius), shade(outfit.skin, 0.92))
    return Shape(shape.part, float(body.neck[2]) - 0.01, shape.fills)


def _trunk(body: Body, outfit: Outfit) -> Shape:
    """Return the trunk: elliptic sections from the crotch to the collar, joined to one outline."""
    sections = _trunk_sections(body)
    hulls = _hulls(sections, 1.0)
    dark = _hulls(sections, 1.06)
    fills = [(hull, shade(outfit.shirt, 0.55)) for hull in dark]
    fills += [(hull, outfit.shirt) for hull in hulls]
    if outfit.stripes:
        for share in (0.3, 0.55, 0.8):
            band = [_section(body, share - 0.05), _section(body, share + 0.05)]
            fills += [(hull, outfit.trim) for hull in _hulls(band, 1.0)]
    # The trousers reach a little above the hips; a belt parts them from the shirt.
    waist = [_section(body, share) for share in (-0.14, 0.0, 0.1)]
    fills += [(hull, outfit.trousers) for hull in _hulls(waist, 1.0)]
    belt = [_section(body, 0.08), _section(body, 0.14)]
    fills += [(hull, shade(outfit.trousers, 0.5)) for hull in _hulls(belt, 1.0)]
    fills += _front(body, outfit) if body.chest_frame[2, 2] > 0 else _back(body, outfit)
    middle = body.neck[2] / 2
    return Shape(Part.TORSO, float(middle), tuple(fills))


def _front(body: Body, outfit: Outfit) -> list[tuple[np.ndarray, Colour]]:
    """Return what only the front of the clothes has: collar, buttons or print, pocket, buckle."""
    collar = _on_trunk(body, _FRONT, ((-0.045, 1.08), (0.045, 1.08), (0.0, 0.80)))
    edge = _on_trunk(body, _FRONT, ((-0.060, 1.08), (0.060, 1.08), (0.0, 0.73)))
    fills = [(edge, outfit.trim), (collar, shade(outfit.skin, 0.95))]
    if outfit.front == "buttons":
        strip = _on_trunk(
            body, _FRONT, ((-0.010, 0.76), (0.010, 0.76), (0.010, 0.14), (-0.010, 0.14))
        )
        fills.append((strip, outfit.trim))
    elif outfit.front == "print":
        block = _on_trunk(body, _FRONT, ((-0.05, 0.66), (0.05, 0.66), (0.05, 0.36), (-0.05, 0.36)))
        fills.append((block, outfit.trim))
    else:  # an open jacket
        gap = _on_trunk(body, _FRONT, ((-0.012, 0.8), (0.012, 0.8), (0.045, 0.14), (-0.045, 0.14)))
        fills.append((gap, outfit.trim))
    pocket = _on_trunk(body, _FRONT, ((0.05, 0.72), (0.085, 0.72), (0.085, 0.6), (0.05, 0.6)))
    fills.append((pocket, shade(outfit.trim, 0.8)))
    buckle = _on_trunk(
        body, _FRONT, ((-0.016, 0.145), (0.016, 0.145), (0.016, 0.075), (-0.016, 0.075))
    )
    fills.append((buckle, (90.0, 210.0, 230.0)))
    return fills


def _back(body: Body, outfit: Outfit) -> list[tuple[np.ndarray, Colour]]:
    """Return what only the back has: a yoke's seam and the crease of the spine."""
    seam = _on_trunk(body, _BACK, ((-0.1, 0.80), (0.1, 0.80), (0.1, 0.78), (-0.1, 0.78)))
    crease = _on_trunk(body, _BACK, ((-0.004, 0.74), (0.004, 0.74), (0.004, 0.18), (-0.004, 0.18)))
    return [(polygon, shade(outfit.shirt, 0.75)) for polygon in (seam, crease)]


def _trunk_sections(body: Body) -> list[np.ndarray]:
    return [_section(body, share) for share, _, _ in _TRUNK_SECTIONS]


def _section_radii(body: Body, share: float) -> tuple[float, float]:
    """Return half width and half thickness of the trunk at a share of its height."""
    shares, widths, depths = zip(*_TRUNK_SECTIONS, strict=True)
    scale = body.proportions.half_shoulders / 0.118
    thickness = body.proportions.girth
    # Broad shoulders come from the bones, a belly from the girth.
    return (
        float(np.interp(share, shares, widths)) * scale * (0.6 + 0.4 * thickness),
        float(np.interp(share, shares, depths)) * thickness,
    )


def _section(body: Body, share: float) -> np.ndarray:
    """Return the ellipse (N, 2) that the trunk's section at a share of its height projects to."""
    half_width, half_depth = _section_radii(body, share)
    left, _, forward = _trunk_axes(body, share)
    ring = half_width * _CIRCLE[:, :1] * left + half_depth * _CIRCLE[:, 1:] * forward
    return (share * body.neck + ring)[:, :2]


def _trunk_axes(body: Body, share: float) -> np.ndarray:
    """Return the trunk's left, down and forward directions as rows; it twists from hip to chest."""
    blend = float(np.clip(share, 0, 1))
    frame = blend * body.chest_frame + (1 - blend) * body.pelvis_frame
    return frame.T / np.linalg.norm(frame, axis=0)[:, None]


def _hulls(sections: list[np.ndarray], grow: float) -> list[np.ndarray]:
    grown = [section.mean(0) + grow * (section - section.mean(0)) for section in sections]
    return [
        cv2.convexHull(np.concatenate(pair).astype(np.float32))[:, 0]
        for pair in zip(grown, grown[1:], strict=False)
    ]


def _on_trunk(body: Body, side: float, places: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Project places on the trunk's front or back: (statures to the left, share of its height)."""
    points = []
    for lateral, share in places:
        half_width, half_depth = _section_radii(body, share)
        left, _, forward = _trunk_axes(body, share)
        across = float(np.clip(lateral / half_width, -1, 1))
        bulge = half_depth * np.sqrt(1 - across**2)
        points.append(share * body.neck + lateral * left + side * bulge * forward)
    return np.array(points)[:, :2]


def _joints(body: Body, side: str, names: tuple[str, ...]) -> list[np.ndarray]:
    return [body.keypoints[COCO_PERSON.names.index(f"{side}_{name}")] for name in names]


def _part(name: str, side: str) -> Part:
    return Part[f"{name}_{side.upper()}"]
