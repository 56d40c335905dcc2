"""The regions that grouping starts from: segmentation, colour and texture of each region.

Selective search: Uijlings, van de Sande, Gevers, Smeulders, "Selective Search for Object
Recognition", IJCV 2013; the sections named in this folder are that paper's.

H, W: the photo; C: its channels in a colour space; R: regions; P: pairs of neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pose_project.utils.errors import InputError

_COLOUR_BINS, _TEXTURE_BINS, _ORIENTATIONS = 25, 10, 8  # section 3.2
_SEGMENTATION_SIGMA = 0.8  # smoothing before the segmentation, as in the authors' code

COLOUR_SPACES = ("HSV", "Lab", "rgI", "H", "I")


@dataclass(frozen=True)
class Regions:
    """What the similarities of section 3.2 are computed from.

    Args:
        sizes: (R,) pixels.
        boxes: (R, 4) XYXY_ABS, continuous.
        colour: (R, 25 C) float32, a histogram of each channel; rows sum to 1.
        texture: (R, 80 C) float32, of each channel and orientation; rows sum to 1.
        neighbours: (P, 2) indices of regions that touch, the smaller first.
    """

    sizes: np.ndarray
    boxes: np.ndarray
    colour: np.ndarray
    texture: np.ndarray
    neighbours: np.ndarray


def require_scikit_image() -> Callable[..., np.ndarray]:
    """Return scikit-image's ``felzenszwalb``; only this needs the library.

    Raises:
        InputError: if it is not installed.
    """
    try:
        from skimage.segmentation import felzenszwalb
    except ImportError as error:
        raise InputError(
            "selective search needs scikit-image: pip install 'scikit-image>=0.24', or "
            "pip install -e '.[proposals]'"
        ) from error
    return felzenszwalb


def segment(channels: np.ndarray, k: float) -> np.ndarray:
    """Return (H, W) labels from 0 of the graph-based segmentation (Felzenszwalb 2004).

    Args:
        channels: (H, W, C) float32 in [0, 1].
        k: the larger, the larger the regions; the smallest have k pixels, as in the authors' code.

    Raises:
        InputError: if scikit-image is not installed.
    """
    felzenszwalb = require_scikit_image()
    return felzenszwalb(
        channels, scale=k, sigma=_SEGMENTATION_SIGMA, min_size=round(k), channel_axis=2
    )


def convert_colour(image: np.ndarray, space: str) -> np.ndarray:
    """Return (H, W, C) float32 in [0, 1] of a photo in one of ``COLOUR_SPACES``.

    Args:
        image: (H, W, 3) uint8 BGR.
        space: rgI is red and green as shares of the sum, and intensity; H is the hue of HSV.
    """
    scaled = image.astype(np.float32) / 255
    if space == "HSV":
        return cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL).astype(np.float32) / 255
    if space == "Lab":
        return cv2.cvtColor(image, cv2.COLOR_BGR2Lab).astype(np.float32) / 255
    if space == "H":
        return convert_colour(image, "HSV")[:, :, :1]
    intensity = scaled.mean(axis=2, keepdims=True)
    if space == "I":
        return intensity
    if space == "rgI":
        # black has no chromaticity: the shares of grey
        shares = (scaled[:, :, [2, 1]] + 1e-6) / (3 * intensity + 3e-6)
        return np.concatenate([shares, intensity], axis=2)
    raise ValueError(f"no colour space {space!r}; known: {', '.join(COLOUR_SPACES)}")


def quantise_colour(channels: np.ndarray) -> np.ndarray:
    """Return (H, W, C) uint8, the bin of each pixel in each channel of (H, W, C) in [0, 1]."""
    return np.minimum(channels * _COLOUR_BINS, _COLOUR_BINS - 1).astype(np.uint8)


def quantise_texture(channels: np.ndarray) -> np.ndarray:
    """Return (H, W, 8 C) uint8: bins of Gaussian derivatives, sigma 1, in eight directions.

    A direction and its opposite share a derivative: one has the positive part, one the negative.
    Bins divide what is from 0 to the largest response in the channel.
    """
    radius = np.arange(-3, 4, dtype=np.float32)
    gaussian = np.exp(-(radius**2) / 2)
    gaussian /= gaussian.sum()
    derivative = radius * gaussian
    across = cv2.sepFilter2D(channels, -1, derivative, gaussian).reshape(channels.shape)
    down = cv2.sepFilter2D(channels, -1, gaussian, derivative).reshape(channels.shape)
    angles = np.arange(_ORIENTATIONS) * (2 * np.pi / _ORIENTATIONS)
    responses = np.stack([across * np.cos(a) + down * np.sin(a) for a in angles], axis=3)
    largest = np.maximum(responses.max(axis=(0, 1, 3), keepdims=True), 1e-6)
    bins = np.clip(responses / largest * _TEXTURE_BINS, 0, _TEXTURE_BINS - 1).astype(np.uint8)
    return bins.reshape(*channels.shape[:2], -1)


def describe_regions(
    labels: np.ndarray, colour_bins: np.ndarray, texture_bins: np.ndarray
) -> Regions:
    """Return the regions of a segmentation.

    Args:
        labels: (H, W) int from 0, every number up to the largest in use.
        colour_bins: from ``quantise_colour``.
        texture_bins: from ``quantise_texture``.
    """
    sizes = np.bincount(labels.ravel())
    return Regions(
        sizes,
        _boxes(labels, len(sizes)),
        _histograms(labels, colour_bins, _COLOUR_BINS, sizes),
        _histograms(labels, texture_bins, _TEXTURE_BINS, sizes),
        _neighbours(labels),
    )


def _boxes(labels: np.ndarray, num_regions: int) -> np.ndarray:
    height, width = labels.shape
    boxes = np.tile([width, height, 0, 0], (num_regions, 1))
    rows, columns = np.mgrid[:height, :width]
    for side, place in enumerate((columns, rows)):
        np.minimum.at(boxes[:, side], labels.ravel(), place.ravel())
        np.maximum.at(boxes[:, side + 2], labels.ravel(), place.ravel() + 1)
    return boxes


def _histograms(
    labels: np.ndarray, bins: np.ndarray, num_bins: int, sizes: np.ndarray
) -> np.ndarray:
    """Return (R, D * num_bins) float32 of (H, W, D) bins; rows sum to 1."""
    depth = bins.shape[2]
    columns = np.arange(depth, dtype=np.int32) * num_bins + bins
    cells = labels.astype(np.int32)[:, :, None] * (depth * num_bins) + columns
    counts = np.bincount(cells.ravel(), minlength=len(sizes) * depth * num_bins)
    return (counts.reshape(len(sizes), -1) / (depth * sizes[:, None])).astype(np.float32)


def _neighbours(labels: np.ndarray) -> np.ndarray:
    beside = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1)
    below = np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1)
    pairs = np.concatenate([beside, below])
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    # one number a pair: much faster than unique rows
    codes = np.unique(pairs[:, 0].astype(np.int64) * (int(labels.max()) + 1) + pairs[:, 1])
    return np.stack(np.divmod(codes, int(labels.max()) + 1), axis=1)
