"""From a YOLO pose dataset to COCO's annotation files; the photos stay where they are."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from pose_project.data.category_schemas import known_schemas, schemas_of_size
from pose_project.data.filling import fill_annotation, shows_nothing
from pose_project.data.image_reading import missing_decoder, upright_size_wh
from pose_project.extras.converters.yolo import PoseFormat, parse_line, read_format, read_yaml
from pose_project.extras.converters.yolo_files import find_images
from pose_project.extras.converters.yolo_labels import find_labels
from pose_project.structures import COCO_PERSON, infer_flip_pairs
from pose_project.utils.errors import InputError, UnreadablePhotoError
from pose_project.utils.files import write_text_atomic

logger = logging.getLogger(__name__)


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
        data_yaml: images are found as ``find_images`` says, label files as ``find_labels`` does.
        output: folder for the JSON files, which are replaced; made if it is not there.

    Returns:
        What was written: train, val and test, as far as they are there.

    Raises:
        InputError: if ``data.yaml``, a photo or a line of a label file is wrong, or nobody is
            labelled in a split; nothing is written.
    """
    content = read_yaml(data_yaml)
    pose_format = read_format(data_yaml, content)
    _check_mirror(data_yaml, pose_format)
    root, splits = find_images(data_yaml, content)
    annotations = {
        split: _convert_split(f"{data_yaml}: {split}", root, labels, pose_format)
        for split, images in splits.items()
        for labels in [find_labels(data_yaml, root, split, images)]
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


def _convert_split(
    where: str, root: Path, labels: Mapping[Path, Path | None], pose_format: PoseFormat
) -> dict[str, Any]:
    """Return a split in COCO's format; what was changed or left out is counted and logged."""
    images, annotations = [], []
    num_moved = num_empty = 0
    for image_id, (photo, label) in enumerate(labels.items(), 1):
        width, height = size_wh = _photo_size_wh(photo)
        file_name = photo.relative_to(root).as_posix()
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for instance, moved in _read_labels(label, pose_format, size_wh) if label else ():
            num_moved += moved
            if shows_nothing(instance, pose_format.num_keypoints):
                num_empty += 1
                continue
            filled, _ = fill_annotation(instance, pose_format.num_keypoints, size_wh)
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **filled})
    if num_moved:
        logger.warning(
            "%s: %d keypoints just outside their photo: now at its edge", where, num_moved
        )
    if num_empty:
        logger.warning("%s: %d lines without a box or a keypoint: left out", where, num_empty)
    if not annotations:
        raise InputError(f"{where}: the label files of all {len(images)} photos name nobody")
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
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield what ``parse_line`` makes of each line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except ValueError as error:
        raise InputError(f"{path} is not a text file: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield parse_line(line, pose_format, size_wh, f"{path}, line {number}")


def _photo_size_wh(photo: Path) -> tuple[int, int]:
    """Return width and height as the photo is shown, turned as its EXIF data say."""
    try:
        with Image.open(photo) as image:
            return upright_size_wh(image)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        reason = missing_decoder(photo) or str(error)
        raise UnreadablePhotoError(f"{photo} cannot be used: {reason}") from error


def _check_mirror(data_yaml: Path, pose_format: PoseFormat) -> None:
    """Warn where mirrored photos will not exchange left and right."""
    flip = pose_format.flip_indices
    pairs = [
        (names, pair)
        for names in pose_format.keypoint_names.values()
        for pair in infer_flip_pairs(names)
    ]
    if flip is None:
        if not pairs:
            logger.warning(
                "%s has no 'flip_idx': mirrored photos will not swap left and right.", data_yaml
            )
        return
    kept = ["/".join(p) for names, p in pairs if flip[names.index(p[0])] != names.index(p[1])]
    if kept:
        logger.warning(
            "%s: 'flip_idx' does not exchange %s: mirrored photos will have left and right wrong",
            *(data_yaml, ", ".join(kept[:3]) + ", ..." * (len(kept) > 3)),
        )
    elif not pairs and flip == tuple(range(len(flip))):
        same = schemas_of_size(len(flip))
        likely = [name for name in same if known_schemas()[name].schema.flip_pairs]
        if likely:
            logger.warning(
                "%s: 'flip_idx' exchanges none of %d keypoints, which are as many as those of %s: "
                "if they are, mirrored photos will have left and right wrong",
                *(data_yaml, len(flip), " and ".join(likely)),
            )
