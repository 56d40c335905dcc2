"""Colours and cut of what a synthetic person wears. Colours are BGR in 0..255."""

import colorsys
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

_SKINS = ((60, 85, 130), (90, 130, 185), (120, 160, 215), (150, 185, 235), (165, 195, 240))
_HAIRS = ((25, 25, 28), (30, 45, 70), (45, 75, 120), (95, 160, 205), (40, 60, 150), (150, 150, 155))
_MIN_CONTRAST = 70.0  # Euclidean distance in BGR that the eye, and a small network, tells apart


@dataclass(frozen=True)
class Outfit:
    """Colours (BGR) and cut of one person's clothes and hair.

    ``print_colour`` is on the front of the shirt only. ``hair_style`` is one of ``short``,
    ``long`` and ``bald``; long hair hides the ears. ``stripes`` are rings around the trunk.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    trim: Colour
    trousers: Colour
    shoes: Colour
    hair_style: str
    front: str
    long_sleeves: bool
    long_trousers: bool
    stripes: bool


def sample_outfit(rng: np.random.Generator, surroundings: Colour) -> Outfit:
    """Draw an outfit whose clothes mostly differ from the mean colour of the surroundings."""
    skin = _jitter(rng, _SKINS[rng.integers(len(_SKINS))], 10)
    shirt = _contrasting(rng, (surroundings, skin))
    trousers = _contrasting(rng, (surroundings, shirt, skin))
    return Outfit(
        skin=skin,
        hair=_jitter(rng, _HAIRS[rng.integers(len(_HAIRS))], 8),
        shirt=shirt,
        trim=_contrasting(rng, (shirt,)),
        trousers=trousers,
        shoes=_contrasting(rng, (trousers, surroundings)),
        hair_style=str(rng.choice(["short", "long", "bald"], p=[0.62, 0.33, 0.05])),
        front=str(rng.choice(["buttons", "print", "open"])),
        long_sleeves=bool(rng.random() < 0.5),
        long_trousers=bool(rng.random() < 0.65),
        stripes=bool(rng.random() < 0.2),
    )


def shade(colour: Colour, factor: float) -> Colour:
    """Return a darker (factor < 1) or lighter colour."""
    blue, green, red = (min(255.0, max(0.0, channel * factor)) for channel in colour)
    return blue, green, red


def _contrasting(rng: np.random.Generator, others: tuple[Colour, ...]) -> Colour:
    """Draw a colour of cloth; the best of a few draws where none keeps the distance."""
    best, best_distance = (0.0, 0.0, 0.0), -1.0
    for _ in range(8):
        colour = _cloth(rng)
        distance = min(float(np.linalg.norm(np.subtract(colour, other))) for other in others)
        if distance > best_distance:
            best, best_distance = colour, distance
        if distance > _MIN_CONTRAST:
            break
    return best


def _cloth(rng: np.random.Generator) -> Colour:
    saturation = rng.uniform(0.0, 0.2) if rng.random() < 0.25 else rng.uniform(0.35, 0.95)
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.2, 0.97))
    return 255.0 * blue, 255.0 * green, 255.0 * red


def _jitter(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    blue, green, red = np.clip(np.add(colour, rng.normal(0, spread, 3)), 0, 255)
    return float(blue), float(green), float(red)
