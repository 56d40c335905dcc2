"""Datasets by name: registration, files, schema, and the dicts that training reads.

Three kinds of names work everywhere: those registered with :func:`register_keypoint_dataset`,
Detectron2's own ``keypoints_coco_2017_*``, and ``synthetic_<level>_<split>_<photos>``, generated
when first used.
"""

import difflib
import functools
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog, get_detection_dataset_dicts
from detectron2.data.datasets.coco import load_coco_json

from pose_project.data.synthetic import ensure_synthetic_dataset
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

_SYNTHETIC_NAME = re.compile(r"synthetic_([a-z]+)_(train|val)_(\d+)")


def register_keypoint_dataset(
    name: str, json_file: str | Path, image_root: str | Path, schema: KeypointSchema | None = None
) -> None:
    """Register a COCO-style keypoint dataset; nothing is read until it is used.

    Args:
        name: the name that configs refer to.
        json_file: annotations in COCO's keypoint format.
        image_root: the folder that ``file_name`` in the JSON is relative to.
        schema: names, flip pairs, skeleton and sigmas; read from the JSON's category if None.

    Raises:
        InputError: if ``name`` is already taken by other files. The same registration again does
            nothing.
    """
    json_file, image_root = str(json_file), str(image_root)
    if name in DatasetCatalog:
        known = MetadataCatalog.get(name)
        if (known.get("json_file"), known.get("image_root")) != (json_file, image_root):
            raise InputError(
                f"dataset {name!r} is already registered with {known.get('json_file')} and "
                f"{known.get('image_root')}; choose another name"
            )
        return
    DatasetCatalog.register(name, lambda: load_coco_json(json_file, image_root, name))
    metadata = MetadataCatalog.get(name)
    metadata.set(json_file=json_file, image_root=image_root, evaluator_type="coco")
    if schema is not None:
        metadata.set(**schema.metadata())


def resolve_dataset(name: str) -> Any:
    """Return the ``MetadataCatalog`` entry of a dataset whose files are there.

    Synthetic photos are generated if they are not in the cache yet.

    Raises:
        InputError: if the name is unknown or a file of the dataset is missing.
    """
    synthetic = _SYNTHETIC_NAME.fullmatch(name)
    if synthetic and name not in DatasetCatalog:
        level, split, num_photos = synthetic.groups()
        root = ensure_synthetic_dataset(level, split, int(num_photos))
        json_file = root / "annotations" / f"person_keypoints_{split}2017.json"
        register_keypoint_dataset(name, json_file, root / f"{split}2017")
    if name not in DatasetCatalog:
        near = difflib.get_close_matches(name, DatasetCatalog.list(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"no dataset named {name!r} is registered{hint}")
    metadata = MetadataCatalog.get(name)
    for what, path in (
        ("annotations", metadata.get("json_file")),
        ("photos", metadata.get("image_root")),
    ):
        if path is not None and not Path(path).exists():
            raise InputError(
                f"dataset {name!r}: no {what} at {path}. Put the data there, or set "
                "DETECTRON2_DATASETS to the folder that holds coco/annotations, coco/train2017 "
                "and coco/val2017 (https://cocodataset.org/#download)"
            )
    return metadata


def get_schema(dataset_names: str | Sequence[str]) -> KeypointSchema:
    """Return the schema shared by one or several datasets.

    Raises:
        InputError: if a dataset has no keypoints or two datasets differ in their keypoints.
    """
    names = [dataset_names] if isinstance(dataset_names, str) else list(dataset_names)
    schemas = [_schema_of(name) for name in names]
    for name, schema in zip(names, schemas, strict=True):
        # lines of the skeleton are for drawing only: Detectron2's COCO has other ones than COCO
        if replace(schema, skeleton=()) != replace(schemas[0], skeleton=()):
            raise InputError(f"datasets {names[0]!r} and {name!r} do not have the same keypoints")
    return schemas[0]


def create_hflip_indices(dataset_names: str | Sequence[str]) -> list[int]:
    """Return ``KeypointSchema.hflip_indices`` of the named datasets; made for LazyConfigs.

    ``L(create_hflip_indices)(dataset_names="${...dataset.names}")`` follows an override of the
    dataset's name, because it is evaluated when the mapper is built.
    """
    return list(get_schema(dataset_names).hflip_indices)


def get_dataset_dicts(
    names: str | Sequence[str], filter_empty: bool = True, min_keypoints: int = 0
) -> list[dict[str, Any]]:
    """Return Detectron2's dataset dicts of one or several datasets, in their order.

    Args:
        names: registered, COCO or synthetic names.
        filter_empty: leave out photos without a person that is not a crowd.
        min_keypoints: leave out photos with fewer labelled keypoints (v > 0) than this.

    Returns:
        One dict a photo (``file_name height width image_id annotations``); keypoints are
        continuous, half a pixel further than in the file.

    Raises:
        InputError: if a dataset is unknown, unreadable, or nothing is left of it.
    """
    names = [names] if isinstance(names, str) else list(names)
    if min_keypoints > 0:
        get_schema(names)
    try:
        for name in names:
            resolve_dataset(name)
        return get_detection_dataset_dicts(
            names, filter_empty=filter_empty, min_keypoints=min_keypoints
        )
    except (AssertionError, KeyError, json.JSONDecodeError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"datasets {names} cannot be used: {reason}") from error


def _schema_of(name: str) -> KeypointSchema:
    metadata = resolve_dataset(name)
    if metadata.get("keypoint_names") is None:
        categories = _read_categories(metadata.json_file)
        with_keypoints = [each for each in categories if each.get("keypoints")]
        if not with_keypoints:
            raise InputError(
                f"{metadata.json_file} has no keypoints: no category lists names under "
                "'keypoints' (https://cocodataset.org/#format-data)"
            )
        schema = KeypointSchema.from_coco_category(with_keypoints[0])
        if schema.sigmas_estimated:
            logger.warning(
                "Dataset %r gives no 'oks_sigmas'; every keypoint is scored with %.2f.",
                name,
                schema.oks_sigmas[0],
            )
        metadata.set(**schema.metadata())
    return KeypointSchema.from_metadata(metadata)


@functools.lru_cache(maxsize=8)
def _read_categories(json_file: str) -> list[dict[str, Any]]:
    try:
        with open(json_file, encoding="utf-8") as stream:
            content = json.load(stream)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{json_file} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("categories"), list):
        raise InputError(f"{json_file} is not in COCO's format: it has no list 'categories'")
    return content["categories"]
