"""Files of precomputed proposals: the format of Detectron2's ``load_proposals_into_dataset``.

A pickled dict of lists with one entry a photo: ``ids``, ``boxes`` (N, 4) and ``objectness_logits``
(N,); and ``bbox_mode`` of the boxes. Detectron2 reads it with a plain ``pickle.load``, which runs
whatever a file says; here it is read as data.
"""

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from pose_project.data.validation import LARGEST_COORDINATE
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.utils.unpickling import read_pickle

_MODES = (BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
_LISTS = ("ids", "boxes", "objectness_logits")
_ENUMERATION = {("detectron2.structures.boxes", "BoxMode"): BoxMode}
# keys of Detectron's files, which Detectron2 reads as well
_OLD_NAMES = {"indexes": "ids", "scores": "objectness_logits"}


def write_proposal_file(
    path: str | Path, image_ids: Iterable[int | str], boxes: Iterable[np.ndarray]
) -> None:
    """Write a file that Detectron2 and ``add_proposals`` read; it appears as a whole or not at all.

    Args:
        path: its folder is made.
        image_ids: one a photo.
        boxes: (N, 4) XYXY_ABS for each photo, the best first; N may be 0. The logit of the best is
            0, of the next -1, and so on: they order the boxes and mean nothing else.
    """
    boxes = [each.astype(np.float32, copy=False) for each in boxes]
    content = {
        "ids": list(image_ids),
        "boxes": boxes,
        "objectness_logits": [-np.arange(len(each), dtype=np.float32) for each in boxes],
        "bbox_mode": int(BoxMode.XYXY_ABS),
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        pickle.dump(content, stream, protocol=4)


def add_proposals(
    dataset_dicts: list[dict[str, Any]], path: str | Path, dataset_name: str
) -> list[dict[str, Any]]:
    """Return dataset dicts with the proposals of a file, as ``KeypointMapper`` reads them.

    Args:
        dataset_dicts: of one dataset; not changed.
        path: the file of proposals.
        dataset_name: for messages.

    Returns:
        Copies with ``proposal_boxes`` (N, 4) float32, ``proposal_objectness_logits`` (N,)
        float32, the largest first, and ``proposal_bbox_mode`` XYXY_ABS.

    Raises:
        InputError: if the file is missing, damaged, holds anything but such data, or has no
            proposals for a photo.
    """
    command = (
        f"python tools/precompute_proposals.py --dataset {dataset_name} --method selective_search "
        "--output"
    )
    if not Path(path).is_file():
        raise InputError(f"no proposals at {path}; make them with: {command} {path}")
    content = _read(path)
    places = {str(image_id): place for place, image_id in enumerate(content["ids"])}
    missing = [each["image_id"] for each in dataset_dicts if str(each["image_id"]) not in places]
    if missing:
        raise InputError(
            f"{path} is of another dataset: it has no proposals for {len(missing)} of the "
            f"{len(dataset_dicts)} photos of {dataset_name!r}, such as image id {missing[0]!r}; "
            f"make a file for it with: {command} FILE"
        )
    return [
        {**photo, **_proposals_of(content, places[str(photo["image_id"])], path)}
        for photo in dataset_dicts
    ]


def _read(path: str | Path) -> dict[str, Any]:
    """Return the dict of a file; what its lists hold for each photo is not yet checked."""
    content = read_pickle(str(path), _ENUMERATION)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not a dict of proposals")
    content = {_OLD_NAMES.get(key, key): value for key, value in content.items()}
    for key in _LISTS:
        if not isinstance(content.get(key), list):
            raise InputError(f"{path} is not a file of proposals: it has no list {key!r}")
    lengths = [len(content[key]) for key in _LISTS]
    if len(set(lengths)) > 1:
        described = ", ".join(f"{n} {key}" for n, key in zip(lengths, _LISTS, strict=True))
        raise InputError(f"{path} is damaged: its lists differ in length ({described})")
    try:
        content["bbox_mode"] = BoxMode(content.get("bbox_mode", BoxMode.XYXY_ABS))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: bbox_mode: {error}") from error
    if content["bbox_mode"] not in _MODES:
        raise InputError(f"{path}: boxes as {content['bbox_mode'].name} cannot be used")
    return content


def _proposals_of(content: dict[str, Any], place: int, path: str | Path) -> dict[str, Any]:
    """Return the three entries of one photo's dict."""
    boxes, logits = content["boxes"][place], content["objectness_logits"][place]
    where = f"{path}: image id {content['ids'][place]!r}"
    if not _is_numeric(boxes) or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{where}: boxes are {_describe(boxes)}, not an array (N, 4)")
    if not _is_numeric(logits) or logits.shape != (len(boxes),):
        raise InputError(
            f"{where}: objectness_logits are {_describe(logits)}, not an array ({len(boxes)},)"
        )
    # NaN is not smaller than anything
    if not (np.abs(boxes) < LARGEST_COORDINATE).all() or not np.isfinite(logits).all():
        raise InputError(f"{where}: a box or logit is not finite, or beyond any photo")
    order = np.argsort(-logits.astype(np.float64), kind="stable")
    corners = BoxMode.convert(boxes[order], content["bbox_mode"], BoxMode.XYXY_ABS)
    return {
        "proposal_boxes": corners.astype(np.float32),
        "proposal_objectness_logits": logits[order].astype(np.float32),
        "proposal_bbox_mode": BoxMode.XYXY_ABS,
    }


def _is_numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "fiu"


def _describe(values: Any) -> str:
    if isinstance(values, np.ndarray):
        return f"an array {values.shape} of {values.dtype}"
    return f"a {type(values).__name__}"
