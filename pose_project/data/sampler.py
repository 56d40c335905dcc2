"""Which photos make up which batch: a pure function of (seed, number of the batch).

The *stream* is the endless sequence of all photos, shuffled anew in every pass; a photo's place in
it is its *position*. Batches are formed from the stream for all processes together, so the data do
not depend on how many processes there are, and any batch can be reached without saved state.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class PositionalBatchSampler(Sampler[list[tuple[int, int]]]):
    """Endless batches of (position, index), wide and tall photos apart.

    Grouping by orientation saves padding, as in Detectron2's ``AspectRatioGroupedDataset``.

    Args:
        image_sizes_hw: (N, 2) height and width of each photo.
        total_batch_size: photos per batch over all processes.
        seed: of the order.
        rank, world_size: this process takes every batch's part number ``rank``.

    Raises:
        ValueError: if the processes cannot share a batch evenly, or there is no photo.
    """

    def __init__(
        self,
        image_sizes_hw: Sequence[tuple[int, int]],
        total_batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if total_batch_size < 1 or total_batch_size % world_size:
            raise ValueError(
                f"a total batch of {total_batch_size} photos cannot be shared by {world_size} "
                "processes; choose a multiple"
            )
        sizes = np.asarray(image_sizes_hw).reshape(-1, 2)
        if len(sizes) == 0:
            raise ValueError("there is no photo to sample from")
        self.is_wide = sizes[:, 1] > sizes[:, 0]
        self.total_batch_size = total_batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.first_batch = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this process's part of the batches from number ``first_batch`` on."""
        share = self.total_batch_size // self.world_size
        mine = slice(self.rank * share, (self.rank + 1) * share)
        for number, batch in enumerate(self._batches()):
            if number >= self.first_batch:
                yield batch[mine]

    def _batches(self) -> Iterator[list[tuple[int, int]]]:
        waiting: tuple[list[tuple[int, int]], ...] = ([], [])
        for position, index in enumerate(self._stream()):
            group = waiting[int(self.is_wide[index])]
            group.append((position, index))
            if len(group) == self.total_batch_size:
                yield group.copy()
                group.clear()

    def _stream(self) -> Iterator[int]:
        pass_number = 0
        while True:
            order = np.random.default_rng((self.seed, pass_number)).permutation(len(self.is_wide))
            yield from order.tolist()
            pass_number += 1
