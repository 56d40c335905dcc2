"""Pickled weights (``.pkl`` of Detectron2's model zoo and of Caffe2) read as data only."""

import collections
import pickle
from typing import Any

import numpy as np

from pose_project.utils.errors import InputError


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 pickles bytes at protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
    return text.encode(encoding)


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
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few things that arrays are made by; refuse everything else."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}") from None


def load_pickled_weights(filename: str) -> dict[str, Any]:
    """Read a ``.pkl`` of arrays and plain containers; nothing else in it is even looked up.

    Takes Detectron2's files (``model`` and ``__author__``) and Caffe2's, of Python 2 as well, with
    and without a level ``blobs``.

    Returns:
        ``{"model": {name: array}, "__author__": ..., "matching_heuristics": ...}``, as
        ``DetectionCheckpointer`` expects it.

    Raises:
        InputError: if the file is damaged, holds anything else, or no dict.
    """
    try:
        with open(filename, "rb") as stream:
            content = _ArrayUnpickler(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{filename} is refused: it holds {error}, which is no array or plain container and "
            "could run code when read"
        ) from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{filename} is not a readable pickle: {error!r}") from error
    weights = content
    if isinstance(content, dict):
        weights = content.get("model", content.get("blobs", content))
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise InputError(f"{filename} holds a {type(weights).__name__}, not a dict of weights")
    if "model" in content and "__author__" in content:
        return content
    model = {name: value for name, value in weights.items() if not name.endswith("_momentum")}
    return {"model": model, "__author__": "Caffe2", "matching_heuristics": True}
