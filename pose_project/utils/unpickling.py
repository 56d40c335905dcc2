"""Pickles read as data only: arrays and plain containers, and nothing in them is run."""

import collections
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from pose_project.utils.errors import InputError


class _RefusedError(pickle.UnpicklingError):
    """Something in the pickle is not data; says what."""


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 pickles bytes at protocol 2."""
    if encoding != "latin1":
        raise _RefusedError(f"bytes in encoding {encoding!r}")
    return text.encode(encoding)


def _no_bytes() -> bytes:
    """Stand in for ``bytes``, by which empty ones are pickled up to protocol 2."""
    return b""


# What NumPy pickles arrays and numbers by; the package "core" was renamed to "_core" in NumPy 2.
_NUMPY = {
    ("multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0],
    ("multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
}
_ALLOWED: dict[tuple[str, str], Any] = {
    (f"numpy.{core}.{module}", name): function
    for core in ("core", "_core")
    for (module, name), function in _NUMPY.items()
} | {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that looks up only what arrays are made by.

    Args:
        stream: binary, at the pickle's beginning.
        also: further things that may be looked up, by module and name.
    """

    def __init__(self, stream: Any, also: Mapping[tuple[str, str], Any] | None = None) -> None:
        super().__init__(stream, encoding="latin1")  # so that pickles of Python 2 can be read
        self.allowed = {**_ALLOWED, **(also or {})}

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few things that are allowed; refuse everything else."""
        try:
            return self.allowed[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def read_pickle(filename: str, also: Mapping[tuple[str, str], Any] | None = None) -> Any:
    """Return what a pickle of arrays and plain containers holds.

    Args:
        filename: of any protocol, of Python 2 as well.
        also: further things that may be looked up, by module and name.

    Raises:
        InputError: if the file is damaged or holds anything else.
    """
    try:
        with open(filename, "rb") as stream:
            return ArrayUnpickler(stream, also).load()
    except _RefusedError as error:
        raise InputError(
            f"{filename} is refused: it holds {error}, which is no array or plain container and "
            "could run code when read"
        ) from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{filename} is not a readable pickle: {error!r}") from error
