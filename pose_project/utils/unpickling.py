"""Pickles read as data only: arrays and plain containers, and nothing in them is run."""

import collections
import pickle
import pickletools
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


class _ArrayType:
    """Stand in for ``numpy.ndarray``, which would allocate whatever it is called with."""

    def __new__(cls, *_: Any) -> "_ArrayType":
        raise _RefusedError("a call of numpy.ndarray")


def _reconstruct(kind: type, shape: tuple[int, ...], dtype: bytes) -> np.ndarray:
    """Stand in for NumPy's, which pickles use to make an empty array that is then filled."""
    del dtype  # the filling sets it
    if kind is not _ArrayType or shape != (0,):
        raise _RefusedError("an array that is made of nothing")
    return np.ndarray((0,))


def _scalar(dtype: np.dtype, value: bytes | str) -> np.generic:
    """Stand in for NumPy's, which fills what ``value`` lacks with zeros."""
    value = value.encode("latin1") if isinstance(value, str) else value  # of Python 2
    if len(value) != dtype.itemsize:
        raise _RefusedError("a number that is made of nothing")
    return np.frombuffer(value, dtype)[0]


# What NumPy pickles arrays and numbers by; the package "core" was renamed to "_core" in NumPy 2.
_NUMPY = {
    ("multiarray", "_reconstruct"): _reconstruct,
    ("multiarray", "scalar"): _scalar,
    ("numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
}
_ALLOWED: dict[tuple[str, str], Any] = {
    (f"numpy.{core}.{module}", name): function
    for core in ("core", "_core")
    for (module, name), function in _NUMPY.items()
} | {
    ("numpy", "ndarray"): _ArrayType,
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


def _check_memo(stream: Any) -> None:
    """Refuse to remember an object under a number so large that the table would fill the memory.

    Picklers number objects one after the other.
    """
    for count, (opcode, number, _) in enumerate(pickletools.genops(stream)):
        if opcode.name.endswith("PUT") and number > count:
            raise _RefusedError(f"object number {number} among {count}")


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
            _check_memo(stream)
            stream.seek(0)
            return ArrayUnpickler(stream, also).load()
    except _RefusedError as error:
        raise InputError(
            f"{filename} is refused: it holds {error}, which is not an array or plain container "
            "and could run code when read"
        ) from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{filename} is not a readable pickle: {error!r}") from error
