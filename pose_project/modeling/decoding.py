"""From heatmaps to points: the inverse of ``targets.encode_keypoints``."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pose_project.modeling.peak_search import (
    PIXELS_PER_LARGE_STEP,
    PIXELS_PER_STEP,
    Peaks,
    improve_peaks,
    peaks_by_search,
    peaks_in_large_steps,
    peaks_of_enlarged,
)

_MAPS_PER_CHUNK = 256  # what fits into a CPU's caches
_FEW_PIXELS = 700_000  # in total, not worth a search: one person of 200 x 200 px
_SMALL_AREA = 2  # an area of a person, in pixels per cell, not worth a search among others
_MOST_CELLS = 1 / 16  # of a person's maps to look around; beyond it they are enlarged as a whole


def decode_heatmaps(keypoint_logits: Tensor, boxes: Tensor) -> Tensor:
    """Return the most likely position of every keypoint at the resolution of the image.

    Each heatmap is enlarged to its box, rounded up to whole pixels, by bicubic interpolation, and
    the largest value taken (Mask R-CNN as released; Detectron2's ``heatmaps_to_keypoints``). Only
    the parts that could hold it are enlarged, see :mod:`pose_project.modeling.bicubic` for the
    proof; the result is the same pixel, except for ties within float32 rounding. Computed in
    float32 whatever the dtype of the logits: in bfloat16 the maximum would move by pixels.

    People are sorted by size and taken in chunks of many, so that time grows linearly with their
    number and memory does not. A GPU enlarges every map as a whole, since that takes it less time
    than to search; it waits for the host once, to know the sizes, or not at all if the boxes are
    on the host.

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
    num_people, num_keypoints, side, _ = logits.shape
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
    longest = known_wh.amax(dim=1)
    by_size = longest.argsort()
    is_small = (known_wh.prod(dim=1) < _SMALL_AREA * side**2) | (known_wh.amin(dim=1) < side)
    is_small = is_small[by_size]
    whole = [by_size[is_small]]
    for people in _split_by_maps(by_size[~is_small], num_keypoints):
        longest_wh = known_wh[people].amax(dim=0).tolist()
        found, is_open = _search(logits[people], sizes_wh[people], longest_wh)
        peaks.values[people], peaks.pixels[people] = found
        whole.append(people[is_open])
    for people in _split_by_pixels(torch.cat(whole), longest, num_keypoints):
        longest_wh = known_wh[people].amax(dim=0).tolist()
        found = peaks_of_enlarged(logits[people], sizes_wh[people], longest_wh)
        peaks.values[people], peaks.pixels[people] = found
    return peaks


def _search(logits: Tensor, sizes_wh: Tensor, longest_wh: list[int]) -> tuple[Peaks, Tensor]:
    """Return the peaks of a chunk of people, and (R,) bool: whose are not final."""
    num_people, num_keypoints, side, _ = logits.shape
    maps = logits.flatten(0, 1)
    map_sizes_wh = sizes_wh.repeat_interleave(num_keypoints, dim=0)
    peaks, cells = peaks_by_search(maps, map_sizes_wh, longest_wh)
    is_open = torch.zeros(num_people, dtype=torch.bool)
    most = int(_MOST_CELLS * num_keypoints * side * side)
    if len(cells.map_of) > most:
        person_of = cells.map_of // num_keypoints
        has_too_many = person_of.bincount(minlength=num_people) > most
        cells = cells.select(~has_too_many[person_of])
        is_open = has_too_many
    peaks = improve_peaks(maps, map_sizes_wh, longest_wh, peaks, cells)
    shape = (num_people, num_keypoints)
    return Peaks(peaks.values.view(shape), peaks.pixels.view(*shape, 2)), is_open


def _split_by_maps(people: Tensor, num_keypoints: int) -> Iterator[Tensor]:
    at_once = max(1, _MAPS_PER_CHUNK // num_keypoints)
    return (each for each in people.split(at_once) if len(each))


def _split_by_pixels(people: Tensor, longest: Tensor, num_keypoints: int) -> Iterator[Tensor]:
    """Yield people of similar size, so many that their enlarged maps fill one step, or one person.

    Args:
        people: numbers of people.
        longest: (R,) the longer side of everyone.
        num_keypoints: K.
    """
    people = people[longest[people].argsort()]
    # within a chunk all are padded to the largest, so sizes may differ by sqrt(2) at most
    octave = (2 * longest[people].double().log2()).ceil()
    step = (num_keypoints * octave.exp2()).cumsum(0) // PIXELS_PER_STEP
    _, counts = torch.stack([octave, step]).unique_consecutive(dim=1, return_counts=True)
    return iter(people.split(counts.tolist())) if len(people) else iter(())
