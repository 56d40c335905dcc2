"""The highest pixel of enlarged maps, without enlarging more of them than could hold it.

Legend: N maps, S side of a map in cells, Q patches; "patch" and the bounds as in
:mod:`pose_project.extras.cpu_inference.bicubic_bounds`.

The four patches around the highest cell are enlarged first; their highest pixel nearly always is
the answer. A patch whose upper bound does not exceed it cannot hold a higher pixel; the others are
enlarged too. Either way the answer is exact up to float32 rounding.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pose_project.extras.cpu_inference.bicubic_bounds import (
    cell_bounds,
    control_points,
    first_pixels,
)
from pose_project.modeling.decoding import (
    PIXELS_PER_STEP,
    Peaks,
    bicubic_weights,
    pixel_positions,
)

_MAPS_PER_CHUNK = 256  # what fits into a CPU's caches
_SMALL_AREA = 2  # an area of a person, in pixels per cell, not worth a search among others
_MOST_CELLS = 1 / 16  # of a person's maps to look around; beyond it they are enlarged as a whole


class Patches(NamedTuple):
    """Some patches, or some cells, of some maps."""

    map_of: Tensor
    """(Q,) int64 in [0, N)."""
    yx: Tensor
    """(Q, 2) int64."""

    def select(self, which: Tensor) -> "Patches":
        """Return those of a mask or an index."""
        return Patches(self.map_of[which], self.yx[which])


def find_peaks(logits: Tensor, sizes_wh: Tensor, known_wh: Tensor, peaks: Peaks) -> Tensor:
    """Search the maps of those for whom it is worth it, and fill in their peaks.

    Args:
        logits: (R, K, S, S) float32.
        sizes_wh: (R, 2) int64 whole pixels, at least 1.
        known_wh: the same on the host.
        peaks: of shape (R, K); filled.

    Returns:
        (M,) int64, the others: people whose maps are to be enlarged as a whole.
    """
    num_keypoints, side = logits.shape[1:3]
    by_size = known_wh.amax(dim=1).argsort()
    is_small = (known_wh.prod(dim=1) < _SMALL_AREA * side**2) | (known_wh.amin(dim=1) < side)
    is_small = is_small[by_size]
    whole = [by_size[is_small]]
    for people in _split_by_maps(by_size[~is_small], num_keypoints):
        longest_wh = known_wh[people].amax(dim=0).tolist()
        found, is_open = _search(logits[people], sizes_wh[people], longest_wh)
        peaks.values[people], peaks.pixels[people] = found
        whole.append(people[is_open])
    return torch.cat(whole)


def _split_by_maps(people: Tensor, num_keypoints: int) -> Iterator[Tensor]:
    at_once = max(1, _MAPS_PER_CHUNK // num_keypoints)
    return (each for each in people.split(at_once) if len(each))


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


def peaks_by_search(maps: Tensor, sizes_wh: Tensor, longest_wh: list[int]) -> tuple[Peaks, Patches]:
    """Return the highest pixel around the highest cell of each map, and the cells to try as well.

    Args:
        maps: (N, S, S) float32.
        sizes_wh: (N, 2) int64, at least S: the sizes in pixels to which the maps are enlarged.
        longest_wh: the largest of ``sizes_wh``, as numbers, for shapes.

    Returns:
        peaks: a pixel of each map.
        cells: those around which a patch might exceed it, for :func:`improve_peaks`.
    """
    side = maps.shape[-1]
    highest = maps.flatten(1).argmax(dim=1)
    centre_yx = torch.stack([highest // side, highest % side], dim=1)
    around = centre_yx.new_tensor([[-1, -1], [-1, 0], [0, -1], [0, 0]])
    each_map = torch.arange(len(maps), device=maps.device)
    patches = Patches(each_map.repeat_interleave(4), (centre_yx[:, None] + around).flatten(0, 1))
    of_patches = _peaks_of_patches(maps, sizes_wh, longest_wh, patches)
    values, which = of_patches.values.view(-1, 4).max(dim=1)
    pixels = of_patches.pixels.view(-1, 4, 2)[each_map, which]
    map_of, y, x = (cell_bounds(maps) > values[:, None, None]).nonzero(as_tuple=True)
    return Peaks(values, pixels), Patches(map_of, torch.stack([y, x], dim=1))


def improve_peaks(
    maps: Tensor, sizes_wh: Tensor, longest_wh: list[int], peaks: Peaks, cells: Patches
) -> Peaks:
    """Return the highest pixels of ``peaks`` and of the patches around ``cells``."""
    patches = _patches_above(maps, peaks.values, cells)
    per_patch = math.prod(_most_pixels(longest, maps.shape[-1]) for longest in longest_wh)
    per_step = max(1, PIXELS_PER_STEP // per_patch)
    for map_of, yx in zip(patches.map_of.split(per_step), patches.yx.split(per_step), strict=True):
        values, pixels = _peaks_of_patches(maps, sizes_wh, longest_wh, Patches(map_of, yx))
        highest = peaks.values.scatter_reduce(0, map_of, values, "amax")
        # of equal pixels the first in reading order, whatever the order of the threads
        width = longest_wh[0]
        position = pixels[:, 1] * width + pixels[:, 0]
        nowhere = longest_wh[1] * width
        first = torch.full_like(highest, nowhere, dtype=torch.int64).scatter_reduce(
            0, map_of, position.where(values == highest[map_of], nowhere), "amin"
        )
        found = torch.stack([first % width, first // width], dim=1)
        is_higher = (highest > peaks.values)[:, None]
        peaks = Peaks(highest, found.where(is_higher, peaks.pixels))
    return peaks


def _patches_above(maps: Tensor, values: Tensor, cells: Patches) -> Patches:
    """Return the patches around ``cells`` with a control point above their map's value."""
    neighbours = _windows(maps, cells, range(-1, 2))
    above = control_points(neighbours) > values[cells.map_of, None, None]
    by_row = above[:, 1:] | above[:, :-1]
    cell, down, right = (by_row[..., 1:] | by_row[..., :-1]).nonzero(as_tuple=True)
    map_of = cells.map_of[cell]
    yx = cells.yx[cell] + torch.stack([down, right], dim=1) - 1
    per_axis = maps.shape[-1] + 1
    key = (map_of * per_axis + yx[:, 0] + 1) * per_axis + yx[:, 1] + 1
    key = key.unique()  # up to four cells name the same patch
    y, x = key // per_axis % per_axis - 1, key % per_axis - 1
    return Patches(key // per_axis**2, torch.stack([y, x], dim=1))


def _peaks_of_patches(
    maps: Tensor, sizes_wh: Tensor, longest_wh: list[int], patches: Patches
) -> Peaks:
    """Return the highest pixel in each patch; -inf for a patch without pixels.

    Args:
        maps: (N, S, S).
        sizes_wh: (N, 2), at least S.
        longest_wh: the largest of ``sizes_wh``.
        patches: Q of them.

    Returns:
        Peaks of shape (Q,).
    """
    side = maps.shape[-1]
    sizes = sizes_wh[patches.map_of]
    to_columns, first_x, last_x = _pixels_of(patches.yx[:, 1], sizes[:, 0], longest_wh[0], side)
    to_rows, first_y, last_y = _pixels_of(patches.yx[:, 0], sizes[:, 1], longest_wh[1], side)
    enlarged = to_rows @ _windows(maps, patches, range(-1, 3)) @ to_columns.transpose(1, 2)
    values, position = enlarged.flatten(1).max(dim=1)
    x = (first_x + position % enlarged.shape[2]).minimum(last_x)
    y = (first_y + position // enlarged.shape[2]).minimum(last_y)
    values = values.masked_fill((last_x < first_x) | (last_y < first_y), -torch.inf)
    return Peaks(values, torch.stack([x, y], dim=1))


def _pixels_of(
    patches: Tensor, lengths: Tensor, longest: int, side: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the pixels of patches are made of along one axis.

    Args:
        patches: (Q,) int64.
        lengths: (Q,) int64, L of each.
        longest: the largest of them.
        side: S.

    Returns:
        weights: (Q, P, 4) of the cells i - 1 .. i + 2, the last pixel repeated.
        first: (Q,) the number of the first pixel.
        last: (Q,) the number of the last one; before the first in a patch without pixels.
    """
    first = first_pixels(patches, lengths, side)
    last = first_pixels(patches + 1, lengths, side) - 1
    offsets = torch.arange(_most_pixels(longest, side), device=patches.device)
    pixels = (first[:, None] + offsets).minimum(last[:, None])
    # relative to the given patch: the floor of a rounded position may be its neighbour
    t = pixel_positions(pixels, lengths, side) - patches[:, None]
    return bicubic_weights(t), first, last


def _most_pixels(longest: int, side: int) -> int:
    """Return the most pixels that a patch can have along an axis."""
    return -(-longest // side)


def _windows(maps: Tensor, patches: Patches, reach: range) -> Tensor:
    """Return (Q, W, W): the cells around each place, those outside repeated from the edge."""
    offsets = torch.tensor(reach, device=maps.device)
    y, x = (patches.yx[:, :, None] + offsets).clamp(0, maps.shape[-1] - 1).unbind(dim=1)
    side = maps.shape[-1]
    flat = (patches.map_of[:, None] * side + y)[:, :, None] * side + x[:, None]
    return maps.flatten().index_select(0, flat.flatten()).view(flat.shape)
