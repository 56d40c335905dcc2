"""Hierarchical grouping (section 3.1): join the two most similar neighbours until one is left."""

import heapq

import numpy as np

from pose_project.extras.selective_search.regions import Regions

SIMILARITIES = ("CTSF", "TSF", "F", "S")
"""Sums of similarities by letter: colour, texture, size, fill (section 3.2)."""


def group_regions(regions: Regions, similarity: str) -> np.ndarray:
    """Return the box of every region of the hierarchy.

    Args:
        regions: R regions that hang together, as those of a photo do.
        similarity: letters of the measures to add, such as one of ``SIMILARITIES``.

    Returns:
        (2 R - 1, 4) XYXY_ABS: the first R of the regions given, then in the order of joining, the
        last of everything.
    """
    hierarchy = _Hierarchy(regions, similarity)
    first, second = regions.neighbours.T
    values = hierarchy.similarity(first, second)
    # the most similar first; regions that have been merged stay in the heap until they come up
    heap = list(zip((-values).tolist(), first.tolist(), second.tolist(), strict=True))
    heapq.heapify(heap)
    around: dict[int, set[int]] = {index: set() for index in range(len(regions.sizes))}
    for a, b in regions.neighbours.tolist():
        around[a].add(b)
        around[b].add(a)
    for new in range(len(regions.sizes), 2 * len(regions.sizes) - 1):
        a, b = _most_similar(heap, around)
        hierarchy.join(a, b, new)
        touching = (around.pop(a) | around.pop(b)) - {a, b}
        for each in touching:
            around[each] -= {a, b}
            around[each].add(new)
        around[new] = touching
        others = list(touching)
        for value, other in zip(hierarchy.similarity(new, others).tolist(), others, strict=True):
            heapq.heappush(heap, (-value, other, new))
    return hierarchy.boxes


def _most_similar(heap: list[tuple[float, int, int]], alive: dict[int, set[int]]) -> list[int]:
    while True:
        _, a, b = heapq.heappop(heap)
        if a in alive and b in alive:
            return [a, b]


class _Hierarchy:
    """Sizes, boxes and histograms of all regions, those to come included."""

    def __init__(self, regions: Regions, similarity: str) -> None:
        self.image_size = int(regions.sizes.sum())
        self.use_size, self.use_fill = "S" in similarity, "F" in similarity
        # Both are histogram intersections with equal weight, so their sum is one over all columns.
        histograms = [np.empty((len(regions.sizes), 0), np.float32)]
        histograms += [regions.colour] if "C" in similarity else []
        histograms += [regions.texture] if "T" in similarity else []
        self.sizes = _extended(regions.sizes)
        self.boxes = _extended(regions.boxes)
        self.histograms = _extended(np.concatenate(histograms, axis=1))

    def join(self, a: int, b: int, new: int) -> None:
        sizes = self.sizes
        sizes[new] = sizes[a] + sizes[b]
        np.minimum(self.boxes[a, :2], self.boxes[b, :2], out=self.boxes[new, :2])
        np.maximum(self.boxes[a, 2:], self.boxes[b, 2:], out=self.boxes[new, 2:])
        share = np.float32(sizes[a] / sizes[new])
        self.histograms[new] = share * self.histograms[a] + (1 - share) * self.histograms[b]

    def similarity(self, a: np.ndarray | int, b: np.ndarray | list[int]) -> np.ndarray:
        """Return (P,) similarities of P pairs, or of one region with each of P."""
        total = np.minimum(self.histograms[a], self.histograms[b]).sum(axis=1)
        together = self.sizes[a] + self.sizes[b]
        if self.use_size:
            total = total + (1 - together / self.image_size)
        if self.use_fill:
            corner = np.minimum(self.boxes[a, ..., :2], self.boxes[b, :2])
            opposite = np.maximum(self.boxes[a, ..., 2:], self.boxes[b, 2:])
            box_size = (opposite - corner).prod(axis=1)
            total = total + (1 - (box_size - together) / self.image_size)
        return total


def _extended(values: np.ndarray) -> np.ndarray:
    """Return R rows with room for the R - 1 regions that joining makes."""
    extended = np.zeros((2 * len(values) - 1, *values.shape[1:]), values.dtype)
    extended[: len(values)] = values
    return extended
