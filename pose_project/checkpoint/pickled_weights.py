"""Pickled weights: ``.pkl`` of Detectron2's model zoo and of Caffe2."""

from typing import Any

from pose_project.utils.errors import InputError
from pose_project.utils.unpickling import read_pickle


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
    content = read_pickle(filename)
    weights = content
    if isinstance(content, dict):
        weights = content.get("model", content.get("blobs", content))
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise InputError(f"{filename} holds a {type(weights).__name__}, not a dict of weights")
    if "model" in content and "__author__" in content:
        return content
    model = {name: value for name, value in weights.items() if not name.endswith("_momentum")}
    return {"model": model, "__author__": "Caffe2", "matching_heuristics": True}
