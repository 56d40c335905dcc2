"""From COCO's annotation files to a YOLO pose dataset: ``images``, ``labels`` and ``data.yaml``."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import yaml

from pose_project.data.annotation_files import keypoint_categories
from pose_project.data.catalog import get_dataset_dicts, get_schema, resolve_dataset
from pose_project.extras.converters.yolo import format_line
from pose_project.structures import KeypointSchema, continuous_to_coco
from pose_project.utils.errors import InputError


class Written(NamedTuple):
    """What became of a split."""

    split: str
    num_photos: int
    num_instances: int
    num_crowds: int
    """Left out: YOLO has no crowds."""
    num_outside: int
    """Keypoints outside of their photo, which YOLO cannot say: they are unlabelled now."""


def coco_to_yolo(
    splits: Mapping[str, str], output: Path, copy_photos: bool = False
) -> list[Written]:
    """Write a YOLO pose dataset, which appears at ``output`` only when it is complete.

    Annotations lose what YOLO has no place for: skeleton, sigmas, crowds, areas and masks.

    Args:
        splits: {``train`` and so on: a dataset's name, such as ``annotations.json@photos``}.
        output: a folder that does not exist yet.
        copy_photos: copy the photos; otherwise they are symbolic links.

    Raises:
        InputError: if ``output`` exists, the annotations are wrong, or YOLO cannot hold them: one
            number of keypoints and one order of mirroring for all classes.
    """
    if output.exists():
        raise InputError(f"{output} is already there; choose another folder")
    schema = get_schema(list(splits.values()))
    names = _class_names(next(iter(splits.values())))
    description = {split: f"images/{split}" for split in splits} | _describe(names, schema)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        whole = Path(folder) / output.name
        written = [
            _write_split(split, name, schema, whole, copy_photos) for split, name in splits.items()
        ]
        text = yaml.safe_dump(description, sort_keys=False, default_flow_style=None)
        (whole / "data.yaml").write_text(text, encoding="utf-8")
        os.rename(whole, output)
    return written


def _class_names(dataset_name: str) -> list[str]:
    categories = keypoint_categories(resolve_dataset(dataset_name).json_file)
    return [str(each.get("name", each["id"])) for each in categories]


def _describe(class_names: list[str], schema: KeypointSchema) -> dict[str, Any]:
    """Return ``kpt_shape flip_idx names kpt_names`` of ``data.yaml``."""
    classes = [(name, schema.class_schema(index)) for index, name in enumerate(class_names)]
    first_name, first = classes[0]
    for name, each in classes[1:]:
        if each.num_keypoints != first.num_keypoints:
            raise InputError(
                f"YOLO has one number of keypoints for all classes: {first_name!r} has "
                f"{first.num_keypoints}, {name!r} has {each.num_keypoints}"
            )
        if each.hflip_indices != first.hflip_indices:
            raise InputError(
                f"YOLO has one flip_idx for all classes: that of {first_name!r} is "
                f"{list(first.hflip_indices)}, that of {name!r} is {list(each.hflip_indices)}"
            )
    return {
        "kpt_shape": [first.num_keypoints, 3],
        "flip_idx": list(first.hflip_indices),
        "names": {index: name for index, (name, _) in enumerate(classes)},
        "kpt_names": {index: list(each.names) for index, (_, each) in enumerate(classes)},
    }


def _write_split(
    split: str, name: str, schema: KeypointSchema, output: Path, copy_photos: bool
) -> Written:
    photos = get_dataset_dicts(name, filter_empty=False)
    image_root = Path(resolve_dataset(name).image_root)
    labels: set[Path] = set()
    instances = crowds = outside = 0
    for photo in photos:
        relative = _place(Path(photo["file_name"]), image_root)
        label = output / "labels" / split / relative.with_suffix(".txt")
        if label in labels:
            raise InputError(
                f"{name}: two photos would have the labels {split}/{relative.with_suffix('.txt')}"
            )
        labels.add(label)
        lines = []
        for annotation in photo["annotations"]:
            if annotation.get("iscrowd", 0):
                crowds += 1
                continue
            line, lost = _to_line(annotation, schema, (photo["width"], photo["height"]))
            lines.append(line)
            outside += lost
        instances += len(lines)
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        _bring(Path(photo["file_name"]), output / "images" / split / relative, copy_photos)
    return Written(split, len(photos), instances, crowds, outside)


def _to_line(
    annotation: dict[str, Any], schema: KeypointSchema, size_wh: tuple[int, int]
) -> tuple[str, int]:
    """Return an instance's line and how many of its labelled keypoints are outside the photo."""
    rows = list(schema.class_rows(annotation["category_id"]))
    values = annotation.get("keypoints") or [0.0] * (3 * schema.num_keypoints)
    keypoints = continuous_to_coco(np.reshape(values, (-1, 3))[rows])
    outside = ((keypoints[:, :2] < 0) | (keypoints[:, :2] > size_wh)).any(axis=1)
    lost = outside & (keypoints[:, 2] > 0)
    keypoints[outside] = 0
    x, y, width, height = annotation["bbox"]
    x0, y0, x1, y1 = np.clip((x, y, x + width, y + height), 0, (*size_wh, *size_wh))
    bbox = (x0, y0, x1 - x0, y1 - y0)
    return format_line(annotation["category_id"], bbox, keypoints.tolist(), size_wh), int(
        lost.sum()
    )


def _place(photo: Path, image_root: Path) -> PurePosixPath:
    """Return where below ``images/<split>`` a photo goes.

    YOLO looks for labels where the last ``images`` of a path is ``labels``, so a folder of that
    name within is left out.
    """
    relative = PurePosixPath(os.path.relpath(photo, image_root))
    if ".." in relative.parts:
        raise InputError(f"{photo} is not within {image_root}")
    return PurePosixPath(*(part for part in relative.parts if part != "images"))


def _bring(photo: Path, place: Path, copy_photos: bool) -> None:
    if not photo.is_file():
        raise InputError(f"there is no photo {photo}")
    place.parent.mkdir(parents=True, exist_ok=True)
    if copy_photos:
        shutil.copyfile(photo, place)
    else:
        place.symlink_to(photo.resolve())
