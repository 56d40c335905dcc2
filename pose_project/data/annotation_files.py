"""COCO's annotation files: read once a run, and completed where they leave things out."""

import functools
import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from pose_project.data.category_schemas import (
    complete_categories,
    read_schemas,
    schema_hint,
    with_schema,
    without_schema,
)
from pose_project.data.filling import BOX_MARGIN, fill_annotation, shows_nothing
from pose_project.data.validation import (
    box_mask,
    check_annotation,
    check_image_id,
    check_keypoints,
    usable_segmentation,
)
from pose_project.structures import KeypointSchema, schema_of_categories
from pose_project.structures.oks import AREA_SHARE
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import collection_paused, read_json

logger = logging.getLogger(__name__)

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a file of another structure ends in."""

_HOW = {
    "keypoints": "unlabelled where nothing can be read",
    "area": f"{AREA_SHARE:.0%} of the box",
    "bbox": f"around the keypoints, margin {BOX_MARGIN:.0%}",
    "id": "0, which pycocotools counts as no match",
}
_SCORED = (
    *("id", "image_id", "category_id", "iscrowd", "area", "bbox", "keypoints", "num_keypoints"),
)
_NOTHING, _NO_IMAGE = "without a box or a labelled keypoint", "of an image that is not listed"
_NO_CATEGORY = "of a category that is not listed"


@dataclass(eq=False)
class AnnotationFile:
    """A COCO JSON, for the loader, the evaluator, drawing and reports alike.

    Attributes:
        path: of the file.
        content: what the file holds; nobody changes it.
        images: its entries in the order of their ids; name and size may be missing.
        annotations: those of the categories that count, with everything that ``fill_annotation``
            computes. What shows nothing is left out, and so is what belongs to no image.
        categories: those that count, in the order of their ids: those that list keypoints; of a
            file without keypoints, all.
        filled: how many annotations lacked which field.
        left_out: how many annotations were left out, by reason.
    """

    path: str
    content: dict[str, Any] = field(repr=False)
    images: list[dict[str, Any]] = field(repr=False)
    annotations: list[dict[str, Any]] = field(repr=False)
    categories: list[dict[str, Any]]
    filled: Counter[str]
    left_out: Counter[str]

    @property
    def has_annotations(self) -> bool:
        """Whether there is something to score against; COCO's test images have nothing."""
        return "annotations" in self.content

    def truth(self, with_masks: bool = False) -> dict[str, Any]:
        """Return the content that is scored against, in COCO's format; it may be changed.

        Args:
            with_masks: score ``segmentation``; without it there is none. Whoever has none that can
                be used becomes a crowd region of its box: found or not, it does not count.
        """
        annotations = [
            {key: each[key] for key in _SCORED if key in each} for each in self.annotations
        ]
        if with_masks:
            sizes_hw = {each["id"]: (each["height"], each["width"]) for each in self.images}
            for scored, each in zip(annotations, self.annotations, strict=True):
                size_hw = sizes_hw[each["image_id"]]
                mask = usable_segmentation(each.get("segmentation"), size_hw)
                if mask is None:
                    mask, scored["iscrowd"] = box_mask(each["bbox"], size_hw), 1
                scored["segmentation"] = mask
        return {
            "images": [
                {key: each[key] for key in ("id", "height", "width") if key in each}
                for each in self.images
            ],
            "annotations": annotations,
            "categories": [
                {"id": each["id"], "name": str(each.get("name"))} for each in self.categories
            ],
        }

    def describe_changes(self) -> str:
        """Return what was filled in and left out, or ""."""
        filled = ", ".join(
            f"{name} {count}" + (f" ({_HOW[name]})" if name in _HOW else "")
            for name, count in self.filled.items()
        )
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        parts = [
            *([f"filled in: {filled}"] if filled else []),
            *([f"left out: {left_out}"] if left_out else []),
        ]
        return "; ".join(parts)


_Key = tuple[str, str, int, int]  # path, given schema, version
_alive: WeakValueDictionary[_Key, AnnotationFile] = WeakValueDictionary()
_recent: deque[AnnotationFile] = deque(maxlen=4)
_categories: dict[_Key, list[dict[str, Any]]] = {}  # needed again when the rest was released
_given_schemas: dict[str, str] = {}


def give_schema(json_file: str | Path, schema: str) -> None:
    """From now on, take the keypoints of a file's categories from elsewhere.

    Args:
        json_file: annotations.
        schema: see ``read_schemas``; "" takes them from the file again.
    """
    _given_schemas[str(json_file)] = schema


def load_annotations(json_file: str | Path) -> AnnotationFile:
    """Return a file's annotations; the same object as long as somebody holds it.

    A file that has changed is read again. What was filled in and left out is logged once. The
    last files stay in memory until :func:`release_annotations`.

    Raises:
        InputError: if the file is not JSON or not in COCO's format, or an image or annotation
            cannot be used; names it.
    """
    key = _key(json_file)
    annotations = _alive.get(key)
    if annotations is None:
        annotations = _alive[key] = _read(str(json_file))
    _recent.append(annotations)
    return annotations


def release_annotations() -> None:
    """Let go of what nobody else holds.

    Annotations of COCO's size take 2 GB as objects, which a run needs only while it begins.
    """
    _recent.clear()


def keypoint_categories(json_file: str | Path) -> list[dict[str, Any]]:
    """Return the entries of ``categories`` that list keypoints, in the order of their ids.

    Raises:
        InputError: if there is none, or the file cannot be used.
    """
    key = _key(json_file)
    if key not in _categories:
        _categories[key] = load_annotations(json_file).categories
    categories = _categories[key]
    if not any(each.get("keypoints") for each in categories):
        content = load_annotations(json_file).content
        hint = schema_hint(content["categories"], content.get("annotations", []))
        raise InputError(
            f"{json_file} has no keypoints: no category lists names under 'keypoints' "
            "(https://cocodataset.org/#format-data)" + (f"; {hint}" if hint else "")
        )
    return categories


def read_schema(json_file: str | Path) -> KeypointSchema:
    """Return the schema of a file; of several categories, the union of their keypoints.

    Raises:
        InputError: if the file has no keypoints, or its categories contradict themselves.
    """
    categories = keypoint_categories(json_file)
    try:
        return schema_of_categories(categories)
    except MALFORMED as error:
        raise InputError(f"{json_file}: the category's keypoints are wrong: {error}") from error


def _key(json_file: str | Path) -> _Key:
    status = Path(json_file).stat()
    path = str(json_file)
    return path, _given_schemas.get(path, ""), status.st_mtime_ns, status.st_size


def _read(json_file: str) -> AnnotationFile:
    content = read_json(json_file)
    with collection_paused():
        annotations = _complete(json_file, content)
    changes = annotations.describe_changes()
    if changes:
        total = len(content["annotations"])
        _say_once(f"{json_file}: {total} annotations; {changes}")
    return annotations


@functools.lru_cache(maxsize=256)
def _say_once(message: str, level: int = logging.INFO) -> None:
    logger.log(level, message)


def _complete(json_file: str, content: Any) -> AnnotationFile:
    """Check and fill the content, which is not changed."""
    listed = _objects(json_file, content, "categories")
    for each in listed:
        if type(each.get("id")) is not int:
            raise InputError(
                f"{json_file}: category {each.get('name')!r} has no whole number as id"
            )
    _check_unique(json_file, "category", listed)
    given = _objects(json_file, content, "annotations") if "annotations" in content else []
    listed, given, num_fitted = _with_schemas(json_file, listed, given)
    with_keypoints = [each for each in listed if each.get("keypoints")]
    categories = sorted(with_keypoints or listed, key=lambda each: each["id"])
    images = _objects(json_file, content, "images")
    for image in images:
        check_image_id(f"{json_file}: image {image.get('id')!r}", image)
    _check_unique(json_file, "image", images)
    kept, filled, left_out = _fill(json_file, given, images, listed, categories)
    _check_unique(json_file, "annotation", kept)
    filled.update(_number(kept))
    filled["keypoint names"] += num_fitted
    images = sorted(images, key=lambda each: each["id"])
    return AnnotationFile(json_file, content, images, kept, categories, +filled, left_out)


def _with_schemas(
    json_file: str, categories: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Return categories and annotations with a schema that was given, and a name for each point.

    The number is that of the categories that had more or fewer names than points.

    Raises:
        InputError: if the schema that was given is that of no category.
    """
    given = _given_schemas.get(json_file, "")
    if not given and _has_name_for_each_point(categories, annotations):
        return categories, annotations, 0
    schemas = read_schemas(given) if given else {}
    completed = complete_categories(categories, annotations, schemas)
    if given and not completed.expected:
        names = ", ".join(repr(each.get("name")) for each in categories)
        raise InputError(
            f"{json_file}: the schema {given!r} is that of {', '.join(map(repr, schemas))}, and "
            f"cannot be told to be that of one of the categories {names}"
        )
    for place, done in completed.fitted.items():
        name = completed.categories[place].get("name")
        _say_once(f"{json_file}: category {name!r}: {done}", logging.WARNING)
    for place, schema in completed.expected.items():
        completed.categories[place] = with_schema(without_schema(categories[place]), schema)
    return completed.categories, completed.annotations, len(completed.fitted)


def _has_name_for_each_point(
    categories: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> bool:
    """Return whether every annotation with keypoints has as many as its category has names."""
    names = {each["id"]: each.get("keypoints") for each in categories}
    lengths = {id_: 3 * len(each) for id_, each in names.items() if isinstance(each, list)}
    return all(
        len(each["keypoints"]) == lengths.get(each.get("category_id"))
        for each in annotations
        if isinstance(each.get("keypoints"), list) and type(each.get("category_id")) is int
    )


def _fill(
    json_file: str,
    annotations: list[dict[str, Any]],
    images: list[dict[str, Any]],
    listed: list[dict[str, Any]],
    categories: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], Counter[str], Counter[str]]:
    """Return the complete annotations of ``categories``, what was filled, and what is left out."""
    names = {each["id"]: _names(json_file, each) for each in categories}
    others = {each["id"] for each in listed} - names.keys()
    sizes_wh = {each["id"]: _size_wh(each) for each in images}
    kept: list[dict[str, Any]] = []
    filled: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for annotation in annotations:
        category, image = annotation.get("category_id"), annotation.get("image_id")
        if type(category) is not int or category not in names:
            if type(category) is not int or category not in others:
                left_out[_NO_CATEGORY] += 1
            continue  # a category without keypoints is none of the model's
        if type(image) is not int or image not in sizes_wh:
            left_out[_NO_IMAGE] += 1
            continue
        complete, fields = fill_annotation(annotation, len(names[category]), sizes_wh[image])
        if shows_nothing(complete, len(names[category])):
            left_out[_NOTHING] += 1
            continue
        where = f"{json_file}: annotation {annotation.get('id')!r}"
        if type(annotation.get("id")) is not int:
            raise InputError(f"{where}: its id is not a whole number")
        check_annotation(where, complete)
        if names[category]:
            check_keypoints(where, complete["keypoints"], names[category])
        kept.append(complete)
        filled.update(fields)
    return kept, filled, left_out


def _objects(json_file: str, content: Any, kind: str) -> list[dict[str, Any]]:
    entries = content.get(kind) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise InputError(f"{json_file} is not in COCO's format: it has no list {kind!r} of objects")
    return entries


def _size_wh(image: dict[str, Any]) -> tuple[int, int] | None:
    size = image.get("width"), image.get("height")
    return size if all(type(side) is int and side > 0 for side in size) else None


def _names(json_file: str, category: dict[str, Any]) -> list[str]:
    names = category.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        raise InputError(
            f"{json_file}: the category's keypoints are wrong: {category.get('name')!r} lists "
            f"{repr(names)[:80]}, not names"
        )
    return names


def _check_unique(json_file: str, kind: str, entries: list[dict[str, Any]]) -> None:
    times = Counter(each["id"] for each in entries)
    if len(times) < len(entries):
        id_, count = times.most_common(1)[0]
        plural = {"category": "categories"}.get(kind, f"{kind}s")
        raise InputError(f"{json_file}: {count} {plural} have the id {id_}; each needs its own")


def _number(annotations: list[dict[str, Any]]) -> dict[str, int]:
    """Give another id to the annotation whose id is 0, in place; return how many."""
    place = next((i for i, each in enumerate(annotations) if each["id"] == 0), None)
    if place is None:
        return {}
    highest = max(each["id"] for each in annotations)
    annotations[place] = {**annotations[place], "id": highest + 1}
    return {"id": 1}
