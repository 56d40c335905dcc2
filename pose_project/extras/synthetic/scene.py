"""Put people and things into a photo and find out what is seen of whom.

Coordinates are those of the photo in pixels; points are continuous, boxes XYXY with the right and
bottom exclusive.
"""

from dataclasses import dataclass

import numpy as np

from pose_project.extras.synthetic.backdrop import (
    Occluder,
    finish_photo,
    sample_backdrop,
    sample_occluder,
)
from pose_project.extras.synthetic.figure import Figure, sample_figure
from pose_project.extras.synthetic.levels import Level
from pose_project.structures.boxes import box_iou

LANDSCAPE_WH = (320, 240)
_TRIES = 25
_FAR_PX = (13.0, 24.0)  # heights of people in a crowd

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Layer:
    """A person or a thing at a place in the photo; ``x`` and ``y`` are its canvas' top left."""

    canvas: Figure | Occluder
    x: int
    y: int
    in_crowd: bool = False


@dataclass(frozen=True)
class SeenPerson:
    """What a photo shows of one person.

    Args:
        figure: the person's own canvas.
        x, y: where the canvas' top left is in the photo.
        mask: (H, W) bool, the pixels of the photo that show this person.
        parts: (H, W) uint8 numbers of ``Part`` in those pixels, else 0.
    """

    figure: Figure
    x: int
    y: int
    mask: np.ndarray
    parts: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A finished photo (H, W, 3) uint8 BGR, its people, and the crowd's mask (H, W) if any."""

    photo: np.ndarray
    people: list[SeenPerson]
    crowd: np.ndarray | None


def sample_scene(rng: np.random.Generator, level: Level) -> Scene:
    """Draw a whole photo by lot."""
    size_wh = LANDSCAPE_WH[::-1] if rng.random() < level.portrait_share else LANDSCAPE_WH
    backdrop = sample_backdrop(rng, size_wh)
    crowd: list[Layer] = []
    layers: list[Layer] = []
    if rng.random() >= level.empty_share:
        if rng.random() < level.crowd_share:
            crowd = _sample_crowd(rng, level, backdrop)
        layers = _move_hidden(rng, level, _sample_layers(rng, level, backdrop), size_wh)
    layers = crowd + layers
    owners = _owners(layers, size_wh)
    photo = blend(backdrop, layers)
    people = [
        _seen(layer, owners == number)
        for number, layer in enumerate(layers, start=1)
        if isinstance(layer.canvas, Figure) and not layer.in_crowd
    ]
    crowd_mask = (owners > 0) & (owners <= len(crowd))
    return Scene(
        photo=finish_photo(rng, photo, level.max_blur_px, level.max_noise),
        people=people,
        crowd=crowd_mask if crowd_mask.any() else None,
    )


def _sample_layers(rng: np.random.Generator, level: Level, backdrop: np.ndarray) -> list[Layer]:
    """Return people and things from the farthest to the nearest."""
    height, width = backdrop.shape[:2]
    weights = np.array(level.people_weights)
    count = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
    surroundings = tuple(backdrop.mean(axis=(0, 1)).tolist())
    people: list[Layer] = []
    for _ in range(count):
        figure = sample_figure(rng, level, level.height_px, surroundings)
        people.append(_place(rng, level, figure, people, (width, height)))
    # Whoever stands lower in the photo is nearer.
    people.sort(key=lambda layer: layer.y + layer.canvas.alpha.shape[0])
    layers = []
    for person in people:
        layers.append(person)
        if rng.random() < level.occluder_share:
            layers.append(_sample_occluder_of(rng, person))
    return layers


def _place(
    rng: np.random.Generator,
    level: Level,
    figure: Figure,
    others: list[Layer],
    size_wh: tuple[int, int],
) -> Layer:
    """Return the figure beside another person, across the border or anywhere in the photo."""
    if others and rng.random() < level.beside_share:
        return _place_beside(rng, figure, others[rng.integers(len(others))], size_wh)
    truncated = rng.random() < level.truncated_share
    taken = np.array([_clipped_box(other, size_wh) for other in others]).reshape(-1, 4)
    best, best_iou = Layer(figure, 0, 0), np.inf
    for _ in range(_TRIES):
        layer = _place_anywhere(rng, figure, truncated, size_wh)
        iou = box_iou(np.array(_clipped_box(layer, size_wh)), taken).max(initial=0.0)
        if iou < best_iou:
            best, best_iou = layer, iou
        if iou <= level.max_box_iou:
            break
    return best


def _place_beside(
    rng: np.random.Generator, figure: Figure, other: Layer, size_wh: tuple[int, int]
) -> Layer:
    x0, _, x1, y1 = _clipped_box(other, size_wh)
    left, _, right, bottom = figure.box_xyxy
    aside = rng.choice([-1, 1]) * rng.uniform(0.3, 0.75) * (right - left)
    x = (x0 + x1) / 2 + aside - (left + right) / 2
    return Layer(figure, round(x), round(y1 + rng.normal(0, 8)) - bottom)


def _place_anywhere(
    rng: np.random.Generator, figure: Figure, truncated: bool, size_wh: tuple[int, int]
) -> Layer:
    width, height = size_wh
    box = figure.box_xyxy
    w, h = box[2] - box[0], box[3] - box[1]
    left = rng.uniform(min(0, width - w), max(0, width - w))
    # Feet are rather on the floor than in the sky; of who is taller than the photo, any part shows.
    bottom = height - (height - h) * rng.beta(1.2, 1.8)
    if truncated:
        hidden = rng.uniform(0.1, 0.4)
        border = rng.choice(["left", "right", "bottom"])
        if border == "bottom":
            bottom = height + hidden * h
        else:
            left = -hidden * w if border == "left" else width - (1 - hidden) * w
    return Layer(figure, round(left) - box[0], round(bottom) - box[3])


def _sample_occluder_of(rng: np.random.Generator, person: Layer) -> Layer:
    """Return a thing in front of a part of a person."""
    rows, columns = person.canvas.alpha.shape
    width = max(8, int(columns * rng.uniform(0.35, 0.9)))
    height = max(8, int(rows * rng.uniform(0.25, 0.55)))
    x = person.x + int(rng.uniform(-0.3, 1.0) * columns - 0.2 * width)
    y = person.y + int(rows * rng.uniform(0.4, 0.85))
    return Layer(sample_occluder(rng, width, height), x, y)


def _sample_crowd(rng: np.random.Generator, level: Level, backdrop: np.ndarray) -> list[Layer]:
    """Return a clump of small people far away, too small to be annotated one by one."""
    height, width = backdrop.shape[:2]
    surroundings = tuple(backdrop.mean(axis=(0, 1)).tolist())
    middle, foot = rng.uniform(0.15, 0.85) * width, rng.uniform(0.3, 0.5) * height
    layers = []
    for _ in range(rng.integers(6, 12)):
        figure = sample_figure(rng, level, _FAR_PX, surroundings)
        rows, columns = figure.alpha.shape
        x = round(float(np.clip(rng.normal(middle, 14), 0, width - columns)))
        layers.append(Layer(figure, x, round(foot + rng.normal(0, 2)) - rows, in_crowd=True))
    return layers


def _move_hidden(
    rng: np.random.Generator, level: Level, layers: list[Layer], size_wh: tuple[int, int]
) -> list[Layer]:
    """Move people of whom too little is seen; who finds no place leaves the photo."""
    for _ in range(_TRIES):
        hidden = _first_hidden(level, layers, size_wh)
        if hidden is None:
            return layers
        others = [
            layer
            for index, layer in enumerate(layers)
            if index != hidden and isinstance(layer.canvas, Figure)
        ]
        moved = _place(rng, level, layers[hidden].canvas, others, size_wh)
        layers = [*layers[:hidden], moved, *layers[hidden + 1 :]]
    while (hidden := _first_hidden(level, layers, size_wh)) is not None:
        layers = layers[:hidden] + layers[hidden + 1 :]
    return layers


def _first_hidden(level: Level, layers: list[Layer], size_wh: tuple[int, int]) -> int | None:
    """Return the index of the first person of whom too little is seen."""
    counts = np.bincount(_owners(layers, size_wh).ravel(), minlength=len(layers) + 1)[1:]
    for index, (layer, seen) in enumerate(zip(layers, counts, strict=True)):
        if not isinstance(layer.canvas, Figure):
            continue
        whole = np.count_nonzero(layer.canvas.parts)
        if seen < max(level.min_visible_px, level.min_visible_share * whole):
            return index
    return None


def _owners(layers: list[Layer], size_wh: tuple[int, int]) -> np.ndarray:
    """Return (H, W) uint8: 1 + the index of the layer that each pixel shows, 0 for none."""
    owners = np.zeros(size_wh[::-1], np.uint8)
    for number, layer in enumerate(layers, start=1):
        there, here = _windows(layer, size_wh)
        owners[there][layer.canvas.alpha[here] >= 128] = number
    return owners


def blend(backdrop: np.ndarray, layers: list[Layer]) -> np.ndarray:
    """Return the (H, W, 3) float32 photo of all layers over the backdrop."""
    photo = backdrop.copy()
    for layer in layers:
        there, here = _windows(layer, (photo.shape[1], photo.shape[0]))
        rest = 1 - layer.canvas.alpha[here][..., None] / np.float32(255)
        photo[there] = photo[there] * rest + layer.canvas.colours[here]
    return photo


def _seen(layer: Layer, mask: np.ndarray) -> SeenPerson:
    parts = np.zeros(mask.shape, np.uint8)
    there, here = _windows(layer, (mask.shape[1], mask.shape[0]))
    parts[there] = layer.canvas.parts[here]
    parts[~mask] = 0
    return SeenPerson(layer.canvas, layer.x, layer.y, mask, parts)


def _windows(
    layer: Layer, size_wh: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the (rows, columns) of the photo that a canvas covers, and those of the canvas."""
    rows, columns = layer.canvas.alpha.shape
    x0, y0 = max(layer.x, 0), max(layer.y, 0)
    x1 = max(x0, min(layer.x + columns, size_wh[0]))
    y1 = max(y0, min(layer.y + rows, size_wh[1]))
    there = slice(y0, y1), slice(x0, x1)
    here = slice(y0 - layer.y, y1 - layer.y), slice(x0 - layer.x, x1 - layer.x)
    return there, here


def _clipped_box(layer: Layer, size_wh: tuple[int, int]) -> Box:
    """Return the XYXY box of a figure in the photo, as if nothing were in front."""
    x0, y0, x1, y1 = layer.canvas.box_xyxy
    width, height = size_wh
    return (
        min(max(layer.x + x0, 0), width),
        min(max(layer.y + y0, 0), height),
        min(max(layer.x + x1, 0), width),
        min(max(layer.y + y1, 0), height),
    )
