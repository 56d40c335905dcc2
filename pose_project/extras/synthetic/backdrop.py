"""Backgrounds without people, objects that stand in front of people, and the camera's faults."""

from dataclasses import dataclass

import cv2
import numpy as np

from pose_project.extras.synthetic.outfit import Colour, shade


@dataclass(frozen=True)
class Occluder:
    """An object on a canvas of its own: ``colours`` (H, W, 3) and ``alpha`` (H, W), both uint8.

    ``colours`` are mixed with black where ``alpha`` is below 255.
    """

    colours: np.ndarray
    alpha: np.ndarray


def sample_backdrop(rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """Return a (H, W, 3) float32 BGR background: a wall or sky, a floor, patterns and things."""
    width, height = size_wh
    photo = _gradient(rng, size_wh)
    if rng.random() < 0.5:
        photo = _patterned(rng, photo, slice(0, height))
    horizon = height
    if rng.random() < 0.75:
        horizon = int(height * rng.uniform(0.35, 0.8))
        floor = slice(horizon, height)
        photo[floor] = _gradient(rng, (width, height - horizon))
        if rng.random() < 0.5:
            photo = _patterned(rng, photo, floor)
    for _ in range(rng.integers(2, 12)):
        _draw_thing(rng, photo, horizon)
    photo += _noise(rng, size_wh)
    return np.clip(photo, 0, 255)


def sample_occluder(rng: np.random.Generator, width: int, height: int) -> Occluder:
    """Return a box, a pole or a bush of the given size in pixels."""
    alpha = np.zeros((height, width), np.uint8)
    kind = rng.choice(["box", "pole", "bush"])
    if kind == "box":
        alpha[:] = 255
    elif kind == "pole":
        half = max(2, width // 6)
        alpha[:, max(0, width // 2 - half) : width // 2 + half] = 255
    else:
        for _ in range(14):
            centre = int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.25, 0.8) * height)
            axes = (
                int(rng.uniform(0.12, 0.22) * width) + 1,
                int(rng.uniform(0.1, 0.22) * height) + 1,
            )
            cv2.ellipse(alpha, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    colours = _gradient(rng, (width, height)) + _noise(rng, (width, height))
    if rng.random() < 0.6:
        colours = _patterned(rng, colours, slice(0, height))
    if kind == "bush":
        colours = 0.5 * colours + 0.5 * np.array([40.0, 120.0, 60.0], np.float32)
    covered = np.clip(colours, 0, 255) * (alpha[..., None] / 255.0)
    return Occluder(covered.round().astype(np.uint8), alpha)


def finish_photo(
    rng: np.random.Generator, photo: np.ndarray, max_blur_px: float, max_noise: float
) -> np.ndarray:
    """Return the (H, W, 3) uint8 BGR photo that a camera takes of a float32 scene of that size."""
    height, width = photo.shape[:2]
    blur = rng.uniform(0, max_blur_px)
    if blur > 0.25:
        photo = cv2.GaussianBlur(photo, (0, 0), blur)
    corners = rng.uniform(0.82, 1.15, (2, 2)).astype(np.float32)
    light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    cast = rng.uniform(0.93, 1.07, 3).astype(np.float32)
    photo = photo * light[..., None] * cast * np.float32(rng.uniform(0.8, 1.12))
    grain = rng.standard_normal(photo.shape, np.float32)
    photo += np.float32(rng.uniform(0.5, max_noise)) * grain
    return np.clip(np.round(photo), 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator) -> Colour:
    grey = rng.uniform(50, 225)
    blue, green, red = np.clip(grey + rng.normal(0, 28, 3), 15, 245)
    return float(blue), float(green), float(red)


def _gradient(rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    base = np.array(_colour(rng))
    corners = np.clip(base + rng.normal(0, 18, (2, 2, 3)), 0, 255).astype(np.float32)
    return cv2.resize(corners, size_wh, interpolation=cv2.INTER_LINEAR)


def _noise(rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3) noise at several scales, coarse patches of colour and fine grain."""
    width, height = size_wh
    total = np.zeros((height, width, 3), np.float32)
    for cells in (4, 12, 36, 100):
        grid = rng.normal(0, rng.uniform(0, 7), (cells, cells, 3)).astype(np.float32)
        grid += rng.normal(0, rng.uniform(0, 12), (cells, cells, 1)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    return total


def _patterned(rng: np.random.Generator, photo: np.ndarray, rows: slice) -> np.ndarray:
    """Return the photo with stripes, tiles or bricks on the given rows."""
    height, width = photo[rows].shape[:2]
    ys, xs = np.mgrid[0:height, 0:width]
    period = rng.uniform(8, 45)
    angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    along = (xs * np.cos(angle) + ys * np.sin(angle) + rng.uniform(0, period)) / period
    across = (ys * np.cos(angle) - xs * np.sin(angle)) / period
    kind = rng.choice(["stripes", "tiles", "bricks"])
    if kind == "stripes":
        mask = along % 1 < rng.uniform(0.2, 0.6)
    elif kind == "tiles":
        mask = (along.astype(int) + np.floor(across).astype(int)) % 2 == 0
    else:
        row = np.floor(across * 2)
        mask = ((along + 0.5 * (row % 2)) % 1 < 0.08) | ((across * 2) % 1 < 0.14)
    patterned = photo.copy()
    step = rng.normal(0, 22, 3).astype(np.float32) + np.float32(rng.choice([-18, 18]))
    patterned[rows] += mask[..., None] * step
    return patterned


def _draw_thing(rng: np.random.Generator, photo: np.ndarray, horizon: int) -> None:
    """Draw a window, a ball, a wire, a splinter or a tree on the backdrop, in place."""
    height, width = photo.shape[:2]
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    w, h = int(rng.uniform(8, 80)), int(rng.uniform(8, 110))
    colour = _colour(rng)
    kind = rng.choice(["rectangle", "ellipse", "line", "polygon", "tree"])
    if kind == "rectangle":
        cv2.rectangle(photo, (x, y), (x + w, y + h), colour, -1)
        cv2.rectangle(photo, (x, y), (x + w, y + h), shade(colour, 0.6), int(rng.integers(1, 4)))
    elif kind == "ellipse":
        axes = w // 2 + 1, h // 2 + 1
        cv2.ellipse(photo, (x, y), axes, rng.uniform(0, 180), 0, 360, colour, -1)
    elif kind == "line":
        end = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.line(photo, (x, y), end, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
    elif kind == "polygon":
        corners = np.stack([x + rng.uniform(-w, w, 5), y + rng.uniform(-h, h, 5)], axis=1)
        cv2.fillPoly(photo, [cv2.convexHull(corners.astype(np.int32))], colour, cv2.LINE_AA)
    else:
        foot = min(height, horizon + int(rng.uniform(0, 30)))
        cv2.rectangle(photo, (x - w // 10, foot - h), (x + w // 10, foot), (35.0, 60.0, 90.0), -1)
        leaves = (40.0 + 40 * rng.random(), 110.0 + 60 * rng.random(), 50.0)
        for _ in range(6):
            at = x + int(rng.normal(0, w / 4)), foot - h + int(rng.normal(0, h / 6))
            cv2.circle(photo, at, max(3, w // 4), shade(leaves, rng.uniform(0.8, 1.2)), -1)
