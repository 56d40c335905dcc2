"""COCO's annotation files: what they define, and a complete copy of those that leave things out."""

import functools
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pose_project.data.filling import BOX_MARGIN, fill_annotation, has_box
from pose_project.extras.doctor import log_findings
from pose_project.structures import KeypointSchema, merge_schemas
from pose_project.structures.oks import AREA_SHARE
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import read_json

logger = logging.getLogger(__name__)

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a file of another structure ends in."""

_LEFT_OUT = "left out"
_HOW = {
    "area": f"{AREA_SHARE:.0%} of the box",
    "bbox": f"around the keypoints, margin {BOX_MARGIN:.0%}",
    "id": "0, which pycocotools counts as no match",
}


@contextmanager
def completed_file(json_file: str) -> Iterator[str]:
    """Yield the path of annotations that lack nothing, for libraries that read files.

    It is the given file if that is complete, else a copy with everything that ``fill_annotation``
    computes, which is gone when the block ends. Annotations with id 0 get another one: pycocotools
    takes 0 for "matched to nothing". An annotation without a box and without labelled keypoints
    shows nothing and is left out.

    Raises:
        InputError: if the file is not JSON or not in COCO's format.
    """
    if not _summary(json_file).counts:
        yield json_file
        return
    content = _read(json_file)
    _complete(content)
    with tempfile.TemporaryDirectory(prefix="pose_project_") as folder:
        path = Path(folder) / Path(json_file).name
        path.write_text(json.dumps(content), encoding="utf-8")
        yield str(path)


def keypoint_categories(json_file: str) -> list[dict[str, Any]]:
    """Return the entries of ``categories`` that list keypoints, in the order of their ids.

    Raises:
        InputError: if there is none, or the file is not in COCO's format.
    """
    categories = [each for each in _summary(json_file).categories if each.get("keypoints")]
    if not categories:
        raise InputError(
            f"{json_file} has no keypoints: no category lists names under 'keypoints' "
            "(https://cocodataset.org/#format-data)"
        )
    return sorted(categories, key=lambda each: each["id"])


def read_schema(json_file: str) -> KeypointSchema:
    """Return the schema of a file; of several categories, the union of their keypoints.

    Raises:
        InputError: if the file has no keypoints, or its categories contradict themselves.
    """
    categories = keypoint_categories(json_file)
    try:
        return merge_schemas(
            [
                (str(each.get("name")), KeypointSchema.from_coco_category(each))
                for each in categories
            ]
        )
    except MALFORMED as error:
        raise InputError(f"{json_file}: the category's keypoints are wrong: {error}") from error


class _Summary(NamedTuple):
    categories: list[dict[str, Any]]
    counts: Counter[str]
    """Annotations by what is filled in, and those left out."""


def _summary(json_file: str) -> _Summary:
    status = Path(json_file).stat()
    return _summarise(json_file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _summarise(json_file: str, *_version: int) -> _Summary:
    """Read a file once for each version of it, and say once what it lacks."""
    content = _read(json_file)
    log_findings(json_file, content)
    total = len(content["annotations"]) if isinstance(content.get("annotations"), list) else 0
    counts = _complete(content)
    if counts:
        logger.info("%s: %d annotations; %s", json_file, total, _describe(counts))
    return _Summary(content["categories"], counts)


def _describe(counts: Counter[str]) -> str:
    filled = [
        f"{field} {count}" + (f" ({_HOW[field]})" if field in _HOW else "")
        for field, count in counts.items()
        if field != _LEFT_OUT
    ]
    parts = [f"filled in: {', '.join(filled)}"] if filled else []
    if counts[_LEFT_OUT]:
        parts.append(f"left out, without box and keypoints: {counts[_LEFT_OUT]}")
    return "; ".join(parts)


def _read(json_file: str) -> dict[str, Any]:
    content = read_json(json_file)
    categories = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(categories, list) or not all(_is_category(each) for each in categories):
        raise InputError(
            f"{json_file} is not in COCO's format: it has no list 'categories' of objects with ids"
        )
    return content


def _is_category(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), int)


def _complete(content: dict[str, Any]) -> Counter[str]:
    """Fill the annotations in place; return how often each field was filled.

    What is not in COCO's format is left for those who read it next, who name it.
    """
    counts: Counter[str] = Counter()
    annotations = content.get("annotations")
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        return counts
    num_keypoints = {
        each["id"]: len(each["keypoints"])
        for each in content["categories"]
        if isinstance(each.get("keypoints"), list)
    }
    sizes = _image_sizes(content.get("images"))
    kept = []
    for annotation in annotations:
        count = num_keypoints.get(_hashable(annotation.get("category_id")), 0)
        size = sizes.get(_hashable(annotation.get("image_id")))
        filled, fields = fill_annotation(annotation, count, size)
        if has_box(filled):
            kept.append(filled)
            counts.update(fields)
        else:
            counts[_LEFT_OUT] += 1
    counts.update(_number(kept))
    content["annotations"] = kept
    return +counts


def _number(annotations: list[dict[str, Any]]) -> dict[str, int]:
    """Give another id to annotations whose id is 0; return how many."""
    zeros = [each for each in annotations if each.get("id") == 0]
    if zeros:
        known = [each["id"] for each in annotations if isinstance(each.get("id"), int)]
        for number, annotation in enumerate(zeros, max(known) + 1):
            annotation["id"] = number
    return {"id": len(zeros)}


def _image_sizes(images: Any) -> dict[Any, tuple[int, int]]:
    """Return {id: (width, height)} of the entries that say so."""
    return {
        _hashable(each.get("id")): (each["width"], each["height"])
        for each in (images if isinstance(images, list) else ())
        if isinstance(each, dict)
        and all(isinstance(each.get(side), (int, float)) for side in ("width", "height"))
    }


def _hashable(value: Any) -> Any:
    """Return an id, or None for what cannot be one."""
    return value if isinstance(value, (int, str)) else None
