"""From a YOLO pose dataset to COCO's annotation files; the photos stay where they are."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from pose_project.data.filling import fill_annotation
from pose_project.extras.converters.yolo import PoseFormat, parse_line, read_format, read_yaml
from pose_project.structures import COCO_PERSON, infer_flip_pairs
from pose_project.utils.errors import InputError, UnreadablePhotoError
from pose_project.utils.files import write_text_atomic

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
_PHOTO_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_EXIF_ORIENTATION = 0x0112


class Converted(NamedTuple):
    """A file that was written."""

    json_file: Path
    image_root: Path
    num_photos: int
    num_unlabelled: int
    num_instances: int


def yolo_to_coco(data_yaml: Path, output: Path) -> list[Converted]:
    """Write ``<split>.json`` for every split that a ``data.yaml`` names.

    ``num_keypoints``, ``iscrowd`` and ``area`` are filled in as for any dataset that lacks them.

    Args:
        data_yaml: beside or above the photos; label files lie as YOLO looks for them: the last
            folder ``images`` of a photo's path becomes ``labels``.
        output: folder for the JSON files, which are replaced; made if it is not there.

    Returns:
        What was written, in the order of ``SPLITS``.

    Raises:
        InputError: if ``data.yaml``, a photo or a line of a label file is wrong; nothing is
            written.
    """
    content = read_yaml(data_yaml)
    pose_format = read_format(data_yaml, content)
    if pose_format.flip_indices is None and not _names_tell_sides(pose_format):
        logger.warning(
            "%s has no 'flip_idx': mirrored photos will not swap left and right.", data_yaml
        )
    splits = [split for split in SPLITS if content.get(split)]
    if not splits:
        raise InputError(f"{data_yaml} names no photos: it has none of {', '.join(SPLITS)}")
    root = _find_root(data_yaml, content, splits)
    annotations = {
        split: _convert_split(_find_photos(data_yaml, root, content[split]), root, pose_format)
        for split in splits
    }
    written = []
    for split, coco in annotations.items():
        path = output / f"{split}.json"
        write_text_atomic(path, json.dumps(coco))
        labelled = {each["image_id"] for each in coco["annotations"]}
        num_photos = len(coco["images"])
        written.append(
            Converted(path, root, num_photos, num_photos - len(labelled), len(coco["annotations"]))
        )
    return written


def _convert_split(photos: list[Path], root: Path, pose_format: PoseFormat) -> dict[str, Any]:
    images, annotations = [], []
    for image_id, photo in enumerate(photos, 1):
        width, height = size_wh = _photo_size_wh(photo)
        file_name = photo.relative_to(root) if photo.is_relative_to(root) else photo
        images.append(
            {"id": image_id, "file_name": str(file_name), "width": width, "height": height}
        )
        for instance in _read_labels(_label_path(photo), pose_format, size_wh):
            filled, _ = fill_annotation(instance, pose_format.num_keypoints, size_wh)
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **filled})
    return {"images": images, "annotations": annotations, "categories": _categories(pose_format)}


def _categories(pose_format: PoseFormat) -> list[dict[str, Any]]:
    categories = []
    for number, (name, names) in enumerate(pose_format.keypoint_names.items(), 1):
        lines = COCO_PERSON.skeleton_indices if names == COCO_PERSON.names else ()
        category: dict[str, Any] = {
            "id": number,
            "name": name,
            "keypoints": list(names),
            "skeleton": [[a + 1, b + 1] for a, b in lines],
        }
        if pose_format.flip_indices is not None:
            category["flip_pairs"] = [
                [names[a], names[b]] for a, b in enumerate(pose_format.flip_indices) if a < b
            ]
        categories.append(category)
    return categories


def _read_labels(
    path: Path, pose_format: PoseFormat, size_wh: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield the instances of a label file; a photo without one shows nobody."""
    if not path.is_file():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except ValueError as error:
        raise InputError(f"{path} is no text: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield parse_line(line, pose_format, size_wh, f"{path}, line {number}")


def _label_path(photo: Path) -> Path:
    parts = list(photo.parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _photo_size_wh(photo: Path) -> tuple[int, int]:
    """Return width and height as the photo is shown, turned as its EXIF data say."""
    try:
        with Image.open(photo) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise UnreadablePhotoError(f"{photo} cannot be used: {error}") from error
    return (height, width) if turned else (width, height)


def _find_root(data_yaml: Path, content: dict[str, Any], splits: list[str]) -> Path:
    """Return the folder that splits are relative to: ``path``, or that of ``data.yaml``.

    ``path`` is often that of another machine, so it counts only if the first split is there.
    """
    beside = data_yaml.resolve().parent
    candidates = [beside / str(content["path"])] if content.get("path") else []
    candidates.append(beside)
    first = _entries(data_yaml, content[splits[0]])[0]
    for root in candidates:
        if (root / first).exists():
            return root.resolve()
    raise InputError(
        f"{data_yaml}: {splits[0]} is at {first!r}, which is not in "
        + " nor in ".join(map(str, candidates))
    )


def _find_photos(data_yaml: Path, root: Path, entry: Any) -> list[Path]:
    """Return the photos of a split: of a folder, a list of files in a text file, or several."""
    photos: list[Path] = []
    for each in _entries(data_yaml, entry):
        place = root / each
        if place.is_dir():
            found = sorted(p for p in place.rglob("*") if p.suffix.lower() in _PHOTO_SUFFIXES)
        elif place.is_file():
            lines = place.read_text(encoding="utf-8").split("\n")
            found = [root / line.strip() for line in lines if line.strip()]
        else:
            raise InputError(f"{data_yaml}: there is nothing at {place}")
        photos += found
    if not photos:
        raise InputError(f"{data_yaml}: there are no photos in {entry}")
    return photos


def _entries(data_yaml: Path, entry: Any) -> list[str]:
    entries = entry if isinstance(entry, list) else [entry]
    if not all(isinstance(each, str) for each in entries):
        raise InputError(f"{data_yaml}: {entry!r} is no folder of photos and no list of such")
    return entries


def _names_tell_sides(pose_format: PoseFormat) -> bool:
    return any(infer_flip_pairs(names) for names in pose_format.keypoint_names.values())
