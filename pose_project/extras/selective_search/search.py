"""Selective search: object proposals of a photo, without training (section 3)."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torchvision.ops import nms

from pose_project.extras.selective_search.grouping import SIMILARITIES, group_regions
from pose_project.extras.selective_search.regions import (
    COLOUR_SPACES,
    convert_colour,
    describe_regions,
    quantise_colour,
    quantise_texture,
    segment,
)


@dataclass(frozen=True)
class Strategies:
    """The groupings whose regions are put together: every combination (section 3.2).

    Args:
        colour_spaces: of ``COLOUR_SPACES``.
        ks: of the segmentation; with k grow the regions that grouping starts from.
        similarities: of ``SIMILARITIES``.
    """

    colour_spaces: tuple[str, ...]
    ks: tuple[int, ...]
    similarities: tuple[str, ...]


MODES = {
    # section 5, "Selective Search Fast" and "Quality": 8 and 80 strategies
    "fast": Strategies(("HSV", "Lab"), (50, 100), ("CTSF", "TSF")),
    "quality": Strategies(COLOUR_SPACES, (50, 100, 150, 300), SIMILARITIES),
}

MAX_SIDE = 500
"""To which larger photos are scaled down, in pixels; docs/proposals.md says why."""

_NEAR_DUPLICATE_IOU = 0.7  # also the RPN's


def selective_search(
    image: np.ndarray,
    mode: str = "fast",
    limit: int = 2000,
    seed: int = 0,
    max_side: int = MAX_SIDE,
) -> np.ndarray:
    """Return the proposals of a photo, the best first; they depend on the arguments alone.

    Args:
        image: (H, W, 3) uint8 BGR.
        mode: a key of ``MODES``.
        limit: the most proposals to return.
        seed: of the order, see ``rank_boxes``.
        max_side: a larger photo is scaled down to it, in pixels; boxes are of the photo as given.

    Returns:
        (N, 4) float32 XYXY_ABS in continuous coordinates of ``image``, no two of them nearly the
        same, N from 1 to ``limit``.

    Raises:
        InputError: if scikit-image is not installed.
    """
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    ranked = rank_boxes(group_all(image, MODES[mode]), np.random.default_rng(seed))
    boxes = drop_near_duplicates(ranked)[:limit]
    to_photo = np.array([width, height, width, height]) / (size_wh * 2)
    return (boxes * to_photo).astype(np.float32)


def group_all(image: np.ndarray, strategies: Strategies) -> list[np.ndarray]:
    """Return the hierarchy's boxes, see ``group_regions``, for each strategy."""
    hierarchies = []
    for space in strategies.colour_spaces:
        channels = convert_colour(image, space)
        colour_bins, texture_bins = quantise_colour(channels), quantise_texture(channels)
        for k in strategies.ks:
            regions = describe_regions(segment(channels, k), colour_bins, texture_bins)
            hierarchies += [group_regions(regions, each) for each in strategies.similarities]
    return hierarchies


def rank_boxes(hierarchies: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return the different boxes of several hierarchies in one order (section 3.3).

    A region's rank is its place in its hierarchy, counted from the top, times a random number
    in [0, 1): large regions come early, but not all of them before all others. A box that occurs
    several times takes its best rank.

    Args:
        hierarchies: (M, 4) each, the whole photo last.
        rng: draws one number a region.
    """
    ranks = [np.arange(len(boxes), 0, -1) * rng.random(len(boxes)) for boxes in hierarchies]
    boxes = np.concatenate(hierarchies)[np.argsort(np.concatenate(ranks), kind="stable")]
    _, first = np.unique(boxes, axis=0, return_index=True)
    return boxes[np.sort(first)]


def drop_near_duplicates(boxes: np.ndarray) -> np.ndarray:
    """Return ranked boxes (N, 4) without those that a better one overlaps by an IoU above 0.7.

    The paper drops equal boxes only. Eighty groupings make many boxes that differ by a few pixels;
    without them, the first 2000 reach more people (docs/proposals.md).
    """
    scores = -torch.arange(len(boxes), dtype=torch.float32)
    keep = nms(torch.as_tensor(boxes, dtype=torch.float32), scores, _NEAR_DUPLICATE_IOU)
    return boxes[keep.numpy()]
