"""From heatmaps to points: the inverse of ``losses.encode_keypoints``.

Legend: R people, K keypoints, S side of a heatmap in cells, L side of the enlarged map in pixels.

Pixel p of L lies at s = (p + 1/2) S / L - 1/2 in cells (Keys' cubic convolution as in
``F.interpolate(mode="bicubic", align_corners=False)``, with a = -3/4). With i = floor(s) and
t = s - i its value is a weighted sum of the cells i - 1 .. i + 2, those outside of the map repeated
from its edge.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pose_project.utils.extras import find_extra

# Enlarged pixels to have in memory at once; a single map may have more. A step needs about four
# times as much in float32. On a CPU it should stay in the caches; a GPU wants few large steps.
PIXELS_PER_STEP, PIXELS_PER_LARGE_STEP = 500_000, 2**26
_FEW_PIXELS = 700_000  # in total, for one step on a CPU: one person of 200 x 200 px

# weights of the cells i - 1 .. i + 2 (columns) as cubics in t: rows 1, t, t^2, t^3
_CUBICS = (
    (0.0, 1.0, 0.0, 0.0),
    (-0.75, 0.0, 0.75, 0.0),
    (1.5, -2.25, 1.5, -0.75),
    (-0.75, 1.25, -1.25, 0.75),
)


class Peaks(NamedTuple):
    """The highest pixel of each enlarged map."""

    values: Tensor
    """(...) float32."""
    pixels: Tensor
    """(..., 2) int64 as (x, y)."""


def decode_heatmaps(keypoint_logits: Tensor, boxes: Tensor) -> Tensor:
    """Return the most likely position of every keypoint at the resolution of the image.

    Each heatmap is enlarged to its box, rounded up to whole pixels, by bicubic interpolation, and
    the largest value taken (Mask R-CNN as released; Detectron2's ``heatmaps_to_keypoints``).
    Computed in float32 whatever the dtype of the logits: in bfloat16 the maximum would move by
    pixels.

    People are sorted by size and taken in chunks of many, so that time grows linearly with their
    number and memory does not. On a CPU the extra ``cpu_inference`` enlarges only the parts that
    could hold the maximum, and finds the same pixel, but for ties within float32 rounding. A GPU
    waits for the host once, to know the sizes, or not at all if the boxes are on the host.

    Args:
        keypoint_logits: (R, K, S, S) raw output of the head.
        boxes: (R, 4) XYXY_ABS, continuous image coordinates in pixels, on the logits' device or on
            the host. Sides below one pixel count as one.

    Returns:
        (R, K, 4) float32 as (x, y, logit, score): continuous image coordinates at pixel centres;
        the logit at the maximum; its share of the S x S softmax, > 0 and not bounded by 1, since
        the enlarged map can exceed every cell. R = 0 gives (0, K, 4). A heatmap with values that
        are not finite gives some point in its box, and a logit and score that may be NaN.

    Raises:
        ValueError: if a box is not finite.
    """
    with _full_precision(keypoint_logits.device):
        return _decode(keypoint_logits.detach().float(), boxes.detach().float())


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Keep matrix products in float32, under autocast and where TF32 or bfloat16 is allowed."""
    allowed = torch.get_float32_matmul_precision()
    with torch.autocast(device.type, enabled=False):
        if allowed == "highest":
            yield
            return
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(allowed)


def _decode(logits: Tensor, boxes: Tensor) -> Tensor:
    corner = boxes[:, :2]
    size = (boxes[:, 2:] - corner).clamp(min=1)
    pixels_wh = size.ceil()
    known_wh = pixels_wh.cpu()  # the host waits, once for everyone
    if not known_wh.isfinite().all():
        raise ValueError("a box to decode keypoints in has a side that is not finite")
    numbers = torch.cat([corner, size / pixels_wh, pixels_wh], dim=1)
    corner, scale, pixels_wh = numbers.to(logits.device, non_blocking=True).split(2, dim=1)
    peaks = _highest_pixels(logits, pixels_wh.long(), known_wh.long())
    points = (peaks.pixels + 0.5) * scale[:, None] + corner[:, None]
    cells = logits.flatten(2)
    # exp(value) / sum(exp(cells)), each relative to the highest cell; faster than logsumexp
    score = (peaks.values - cells.amax(dim=2)).exp() * cells.softmax(dim=2).amax(dim=2)
    return torch.cat([points, torch.stack([peaks.values, score], dim=2)], dim=2)


def _highest_pixels(logits: Tensor, sizes_wh: Tensor, known_wh: Tensor) -> Peaks:
    """Return the highest pixel of each map enlarged to its person's size.

    Args:
        logits: (R, K, S, S) float32.
        sizes_wh: (R, 2) int64 whole pixels, at least 1.
        known_wh: the same on the host.
    """
    num_people, num_keypoints = logits.shape[:2]
    peaks = Peaks(
        logits.new_empty(num_people, num_keypoints),
        sizes_wh.new_empty(num_people, num_keypoints, 2),
    )
    if logits.numel() == 0:
        return peaks
    is_on_cpu = logits.device.type == "cpu"
    longest_wh = known_wh.amax(dim=0).tolist()
    few = _FEW_PIXELS if is_on_cpu else PIXELS_PER_LARGE_STEP
    if num_people * num_keypoints * math.prod(longest_wh) <= few:
        return peaks_of_enlarged(logits, sizes_wh, longest_wh)
    if not is_on_cpu:
        return peaks_in_large_steps(logits, sizes_wh, known_wh)
    to_enlarge = torch.arange(num_people)
    if search := find_extra("cpu_inference.peak_search"):
        to_enlarge = search.find_peaks(logits, sizes_wh, known_wh, peaks)
    for people in _split_by_pixels(to_enlarge, known_wh.amax(dim=1), num_keypoints):
        longest_wh = known_wh[people].amax(dim=0).tolist()
        found = peaks_of_enlarged(logits[people], sizes_wh[people], longest_wh)
        peaks.values[people], peaks.pixels[people] = found
    return peaks


def _split_by_pixels(people: Tensor, longest: Tensor, num_keypoints: int) -> Iterator[Tensor]:
    """Yield people of similar size, so many that their enlarged maps fill one step, or one person.

    Args:
        people: numbers of people.
        longest: (R,) the longer side of everyone.
        num_keypoints: K.
    """
    people = people[longest[people].argsort()]
    # within a chunk all are padded to the largest, so sizes may differ by sqrt(2) at most
    # on the host, where the numbers of people are needed: not every device has float64
    octave = (2 * longest[people].cpu().double().log2()).ceil()
    step = (num_keypoints * octave.exp2()).cumsum(0) // PIXELS_PER_STEP
    _, counts = torch.stack([octave, step]).unique_consecutive(dim=1, return_counts=True)
    return iter(people.split(counts.tolist())) if len(people) else iter(())


def peaks_of_enlarged(maps: Tensor, sizes_wh: Tensor, longest_wh: list[int]) -> Peaks:
    """Return the highest pixel of whole enlarged maps, by two matrix products each.

    Args:
        maps: (R, K, S, S) float32.
        sizes_wh: (R, 2) int64, at least 1.
        longest_wh: the largest of ``sizes_wh``, as numbers, for shapes.

    Returns:
        Peaks of shape (R, K).
    """
    side = maps.shape[-1]
    width, height = longest_wh
    if len(maps) == 1 and width * height <= side**2:  # the same numbers in fewer steps
        enlarged = F.interpolate(maps, size=(height, width), mode="bicubic", align_corners=False)
    else:
        to_columns, to_rows = _to_pixels(sizes_wh, max(longest_wh), side)
        enlarged = _enlarge(maps, to_columns[:, :width], to_rows[:, :height])
    values, position = enlarged.flatten(2).max(dim=2)
    pixels = torch.stack([position % width, position // width], dim=2)
    return Peaks(values, pixels.minimum(sizes_wh[:, None] - 1))


def peaks_in_large_steps(maps: Tensor, sizes_wh: Tensor, known_wh: Tensor) -> Peaks:
    """Return the highest pixel of whole enlarged maps in few kernels, without a wait.

    Args:
        maps: (R, K, S, S) float32, R at least 1.
        sizes_wh: (R, 2) int64, at least 1.
        known_wh: the same on the host, whatever the device of the maps.

    Returns:
        Peaks of shape (R, K).
    """
    longest, by_size = known_wh.amax(dim=1).sort(descending=True)
    order = by_size.to(maps.device, non_blocking=True)
    maps, sizes_wh = maps[order], sizes_wh[order]
    to_columns, to_rows = _to_pixels(sizes_wh, int(longest[0]), maps.shape[-1])
    found, start = [], 0
    while start < len(maps):
        per_person = maps.shape[1] * int(longest[start]) ** 2
        part = slice(start, start + max(1, PIXELS_PER_LARGE_STEP // per_person))
        width, height = known_wh[by_size[part]].amax(dim=0).tolist()
        enlarged = _enlarge(maps[part], to_columns[part, :width], to_rows[part, :height])
        values, position = enlarged.flatten(2).max(dim=2)
        found.append((values, torch.stack([position % width, position // width], dim=2)))
        start = part.stop
    values, pixels = (torch.cat(each) for each in zip(*found, strict=True))
    pixels = pixels.minimum(sizes_wh[:, None] - 1)
    back = by_size.argsort().to(maps.device, non_blocking=True)
    return Peaks(values[back], pixels[back])


def _to_pixels(sizes_wh: Tensor, longest: int, side: int) -> tuple[Tensor, Tensor]:
    """Return (R, longest, S) what cells add to the pixels of a row, and likewise of a column."""
    return bicubic_matrix(sizes_wh.T.flatten(), longest, side).chunk(2)


def _enlarge(maps: Tensor, to_columns: Tensor, to_rows: Tensor) -> Tensor:
    """Return (R, K, height, width) of (R, K, S, S), (R, width, S) and (R, height, S)."""
    wide = maps.flatten(1, 2) @ to_columns.transpose(1, 2)
    return to_rows[:, None] @ wide.view(*maps.shape[:3], -1)


def pixel_positions(pixels: Tensor, lengths: Tensor, side: int) -> Tensor:
    """Return (..., P) float32: where pixels of an enlarged map lie, in cells.

    Args:
        pixels: (..., P) int64, along one axis.
        lengths: (...) int64, L: pixels along this axis.
        side: S.
    """
    return (pixels + 0.5) * (side / lengths)[..., None] - 0.5


def bicubic_weights(t: Tensor) -> Tensor:
    """Return (..., 4): the weights of the cells i - 1 .. i + 2 at (...) positions i + t."""
    square = t * t
    powers = torch.stack([torch.ones_like(t), t, square, square * t], dim=-1)
    return powers @ _cubics(t.device)


@lru_cache
def _cubics(device: torch.device) -> Tensor:
    return torch.tensor(_CUBICS, device=device)  # once: the host would wait for each copy


def bicubic_matrix(lengths: Tensor, longest: int, side: int) -> Tensor:
    """Return (R, longest, S): what each cell adds to each pixel; the last pixel is repeated.

    Args:
        lengths: (R,) int64, L of each.
        longest: the largest of them.
        side: S.
    """
    pixels = torch.arange(longest, device=lengths.device).minimum(lengths[:, None] - 1)
    positions = pixel_positions(pixels, lengths, side)
    before = positions.floor()
    weights = bicubic_weights(positions - before)
    offsets = torch.arange(-1, 3, device=lengths.device)
    cells = (before.long()[..., None] + offsets).clamp(0, side - 1)
    return weights.new_zeros(len(lengths), longest, side).scatter_add_(2, cells, weights)
