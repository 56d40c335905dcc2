"""A batch on its way from a loading process: one block of shared memory and what it means.

A ``DataLoader`` gives every tensor a piece of shared memory of its own, and its handle a way of its
own through a socket: four of each for a photo with its people.
"""

import io
import pickle
from collections.abc import Iterator
from typing import Any

import torch

from pose_project.utils.private_api import shared_storage

_ALIGNMENT = 64  # bytes; a cache line, and enough for any dtype

Packed = tuple[bytes, torch.Tensor]


class _Packer(pickle.Pickler):
    """Pickles everything but tensors, which it puts aside."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.tensors: list[torch.Tensor] = []

    def persistent_id(self, obj: Any) -> tuple[int, torch.dtype, torch.Size] | None:
        """Return what stands for a tensor: its place, dtype and shape."""
        if type(obj) is not torch.Tensor:
            return None
        self.tensors.append(obj)
        return len(self.tensors) - 1, obj.dtype, obj.shape


class _Unpacker(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, block: torch.Tensor, starts: list[int]) -> None:
        super().__init__(stream)
        self.block, self.starts = block, starts

    def persistent_load(self, pid: tuple[int, torch.dtype, torch.Size]) -> torch.Tensor:
        """Return the tensor as a view of the block."""
        number, dtype, shape = pid
        start = self.starts[number]
        size = shape.numel() * dtype.itemsize
        return self.block[start : start + size].view(dtype).view(shape)


def pack(batch: Any) -> Packed:
    """Return a batch as a pickle and one block of shared memory, which holds all its tensors."""
    stream = io.BytesIO()
    packer = _Packer(stream)
    packer.dump(batch)
    sizes = [each.numel() * each.element_size() for each in packer.tensors]
    starts = list(_starts(sizes))
    # written where the other process reads it, as torch's default_collate does
    block = torch.empty(0, dtype=torch.uint8)
    block.set_(shared_storage(max(starts[-1], 1)))
    for start, size, each in zip(starts, sizes, packer.tensors, strict=False):
        block[start : start + size].view(each.dtype).view(each.shape).copy_(each)
    return pickle.dumps(starts) + stream.getvalue(), block


def unpack(packed: Packed) -> Any:
    """Return the batch; its tensors are views of the block."""
    content, block = packed
    stream = io.BytesIO(content)
    starts = pickle.load(stream)
    return _Unpacker(stream, block, starts).load()


def _starts(sizes: list[int]) -> Iterator[int]:
    """Yield where each tensor begins, and last where all end."""
    position = 0
    for size in sizes:
        yield position
        position += -(-size // _ALIGNMENT) * _ALIGNMENT
    yield position
