"""Counts, by source line, how often the host waits for a device and what it starts on it."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch._ops import OpOverload

_PACKAGES = str(Path(torch.__file__).parent.parent)
_OWN_FILES = tuple(
    str(Path(__file__).with_name(name))
    for name in ("device_counts.py", "fake_gpu.py", "fake_autocast.py")
)

# Kernels of CUDA that fetch a number before they return: a size, or whether there was an error.
# torchvision's NMS learns from the device how many boxes it has kept.
_WAITING = {
    "aten::_local_scalar_dense": "item",
    "aten::nonzero": "nonzero",
    "aten::masked_select": "mask",
    "aten::equal": "equal",
    "aten::unique_consecutive": "unique",
    "aten::unique_dim": "unique",
    "aten::_unique2": "unique",
    "aten::bincount": "bincount",
    "aten::repeat_interleave": "repeat_interleave",
    "aten::_linalg_check_errors": "linalg",
    "torchvision::nms": "nms",
}
_EMPTY = {
    "aten::empty",
    "aten::empty_strided",
    "aten::resize_",
    "aten::set_",
    "aten::_local_scalar_dense",
}


@dataclass
class Counts:
    """What a device was asked to do; keys are ``"file:line operation"``.

    Attributes:
        syncs: waits of the host for the device: for a number, a size, or a copy.
        uploads: copies to the device that are not from pinned memory with ``non_blocking``: CUDA
            waits for them as well, or may.
        kernels: operations that start work on the device. Views, empty tensors and copies from the
            host are not among them. Each counts once, though some (sort, convolution) are several
            kernels of a real device.
    """

    syncs: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    kernels: Counter[str] = field(default_factory=Counter)

    def totals(self) -> dict[str, int]:
        """Return {"syncs", "uploads", "kernels"}."""
        return {each.name: getattr(self, each.name).total() for each in fields(self)}

    def table(self, most: int = 40) -> str:
        """Return the counters as text, the most frequent lines first."""
        parts = []
        for name, total in self.totals().items():
            rows = [f"{number:6} {key}" for key, number in getattr(self, name).most_common(most)]
            parts.append("\n".join([f"{total} {name}", *rows]))
        return "\n\n".join(parts)


_open: list[Counts] = []


@contextmanager
def counting() -> Iterator[Counts]:
    """Count until the block ends, in all threads; blocks may be nested."""
    counts = Counts()
    _open.append(counts)
    try:
        yield counts
    finally:
        _open.remove(counts)


def note(counter: str, what: str) -> None:
    """Count one of ``Counts``' events where the caller of PyTorch stands."""
    if _open:
        key = f"{_source_line()} {what}"
        for counts in _open:
            getattr(counts, counter)[key] += 1


def note_operation(op: OpOverload, masks: int) -> None:
    """Count an operation of a device's tensors.

    Args:
        op: as the dispatcher calls it.
        masks: boolean tensors among its indices; a device counts each one's elements first.
    """
    if not _open:
        return
    name = op._schema.name
    for _ in range(masks):
        note("syncs", "mask")
        note("kernels", "aten::nonzero")
    if name in _WAITING:
        note("syncs", _WAITING[name])
    if not is_view(op) and name not in _EMPTY:
        note("kernels", name)


def is_view(op: OpOverload) -> bool:
    """Return whether an operation only looks at memory in another way."""
    return any(each.alias_info and not each.alias_info.is_write for each in op._schema.returns)


def _source_line() -> str:
    """Return the innermost line outside of PyTorch, as ``package/file.py:12``."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        in_torch = file.startswith((f"{_PACKAGES}/torch/", "<"))
        if file not in _OWN_FILES and not in_torch and "contextlib" not in file:
            folder = _PACKAGES if file.startswith(_PACKAGES) else str(Path.cwd())
            return f"{file.removeprefix(folder).lstrip('/')}:{frame.f_lineno}"
        frame = frame.f_back
    return "backward"  # another thread, started by PyTorch
