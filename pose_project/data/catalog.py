"""Datasets by name: registration, files, schema, and the dicts that training reads.

Four kinds of names work everywhere: those registered with :func:`register_keypoint_dataset`,
Detectron2's own ``keypoints_coco_2017_*``, ``<annotations>.json@<folder of photos>``, and
``synthetic_<level>_<split>_<photos>``, generated when first used.
"""

import difflib
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog, get_detection_dataset_dicts
from detectron2.data.datasets.coco import load_coco_json

from pose_project.data.annotation_files import (
    MALFORMED,
    completed_file,
    keypoint_categories,
    read_schema,
)
from pose_project.data.proposal_files import add_proposals
from pose_project.data.validation import check_dataset_dicts, check_keypoints
from pose_project.structures import COCO_PERSON, KeypointSchema
from pose_project.structures.schema import ESTIMATED_SIGMA
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import collection_paused

logger = logging.getLogger(__name__)

_WHERE_COCO_IS = (
    ", or set DETECTRON2_DATASETS to the folder that holds coco/annotations, coco/train2017 and "
    "coco/val2017 (tools/prepare_coco.py fetches them)"
)
_PATH_NAME = re.compile(r"(.*?\.json|[^@]*)@(.*)")
_SYNTHETIC_NAME = re.compile(r"synthetic_([a-z]+)_(train|val)_(\d+)")


def register_keypoint_dataset(
    name: str, json_file: str | Path, image_root: str | Path, schema: KeypointSchema | None = None
) -> None:
    """Register a COCO-style keypoint dataset; nothing is read until it is used.

    Args:
        name: the name that configs refer to.
        json_file: annotations in COCO's keypoint format; what they lack is filled in, see
            ``fill_annotation``.
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
    DatasetCatalog.register(name, lambda: _load_people(name, json_file, image_root))
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
        # here, since who has photos of their own need not wait for its modules
        from pose_project.extras.synthetic import ensure_synthetic_dataset

        level, split, num_photos = synthetic.groups()
        root = ensure_synthetic_dataset(level, split, int(num_photos))
        json_file = root / "annotations" / f"person_keypoints_{split}2017.json"
        register_keypoint_dataset(name, json_file, root / f"{split}2017")
    path = _PATH_NAME.fullmatch(name)
    if path and name not in DatasetCatalog:
        json_file, image_root = path.groups()
        if not json_file or not image_root:
            raise InputError(
                f"dataset {name!r} is not ANNOTATIONS.json@FOLDER_OF_PHOTOS; with "
                "configs/custom_dataset.py set custom.train_json, custom.val_json and "
                "custom.image_root"
            )
        register_keypoint_dataset(name, json_file, image_root)
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
                f"dataset {name!r}: no {what} at {path}. Put the data there"
                + (_WHERE_COCO_IS if name.startswith("keypoints_coco_") else "")
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
        if _for_training(schema) != _for_training(schemas[0]):
            raise InputError(f"datasets {names[0]!r} and {name!r} do not have the same keypoints")
    return schemas[0]


def get_categories(dataset_name: str) -> list[dict[str, Any]]:
    """Return what a model trained on a dataset predicts, as ``categories`` of a COCO JSON.

    They are in the order of the model's classes. Where Detectron2's metadata know the keypoints,
    and for synthetic photos, nothing has to be there; otherwise the annotations are read.

    Raises:
        InputError: if the dataset is unknown, or its annotations are missing and needed.
    """
    if _SYNTHETIC_NAME.fullmatch(dataset_name):
        return [COCO_PERSON.to_coco_category(1, "person")]
    known = dataset_name in DatasetCatalog
    metadata = MetadataCatalog.get(dataset_name) if known else resolve_dataset(dataset_name)
    classes = metadata.get("thing_classes", ())
    if len(classes) == 1 and metadata.get("keypoint_names") is not None:
        schema = KeypointSchema.from_metadata(metadata)
        id_ = next(iter(metadata.get("thing_dataset_id_to_contiguous_id", {1: 0})))
        return [schema.to_coco_category(id_, classes[0])]
    categories = keypoint_categories(resolve_dataset(dataset_name).json_file)
    return [
        KeypointSchema.from_coco_category(each).to_coco_category(each["id"], str(each.get("name")))
        for each in categories
    ]


def create_hflip_indices(dataset_names: str | Sequence[str]) -> list[int]:
    """Return ``KeypointSchema.hflip_indices`` of the named datasets; made for LazyConfigs.

    ``L(create_hflip_indices)(dataset_names="${...dataset.names}")`` follows an override of the
    dataset's name, because it is evaluated when the mapper is built.
    """
    return list(get_schema(dataset_names).hflip_indices)


def count_keypoints(dataset_names: str | Sequence[str]) -> int:
    """Return K of the named datasets; made for LazyConfigs, as ``create_hflip_indices``."""
    return get_schema(dataset_names).num_keypoints


def count_classes(dataset_names: str | Sequence[str]) -> int:
    """Return how many categories of the named datasets have keypoints; made for LazyConfigs."""
    first = dataset_names if isinstance(dataset_names, str) else dataset_names[0]
    return len(keypoint_categories(resolve_dataset(first).json_file))


def get_dataset_dicts(
    names: str | Sequence[str],
    filter_empty: bool = True,
    min_keypoints: int = 0,
    proposal_files: str | Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return Detectron2's dataset dicts of one or several datasets, in their order.

    Args:
        names: registered, COCO or synthetic names.
        filter_empty: leave out photos without a person that is not a crowd.
        min_keypoints: leave out photos with fewer labelled keypoints (v > 0) than this.
        proposal_files: precomputed proposals, a file for each dataset, see ``add_proposals``.

    Returns:
        One dict a photo (``file_name height width image_id annotations``); keypoints are
        continuous, half a pixel further than in the file.

    Raises:
        InputError: if a dataset is unknown, unreadable, or nothing is left of it; if its proposals
            are missing, damaged or of another dataset.
    """
    names = [names] if isinstance(names, str) else list(names)
    if proposal_files is not None:
        files = [proposal_files] if isinstance(proposal_files, str) else list(proposal_files)
        if len(files) != len(names):
            raise InputError(f"{len(files)} proposal_files for {len(names)} datasets: one for each")
        # one dataset after the other, since two may use the same image ids
        return [
            photo
            for name, file in zip(names, files, strict=True)
            for photo in add_proposals(
                get_dataset_dicts(name, filter_empty, min_keypoints), file, name
            )
        ]
    num_keypoints = get_schema(names).num_keypoints
    try:
        with collection_paused():
            dicts = get_detection_dataset_dicts(
                names, filter_empty=filter_empty, min_keypoints=min_keypoints
            )
            check_dataset_dicts(", ".join(names), dicts, num_keypoints)
        return dicts
    except InputError:
        raise
    except (AssertionError, *MALFORMED) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"datasets {names} cannot be used: {reason}") from error


def _for_training(schema: KeypointSchema) -> KeypointSchema:
    """Return a schema without what training does not use: lines are drawn, sigmas are scored by."""
    categories = tuple((name, _for_training(each)) for name, each in schema.categories)
    return replace(schema, skeleton=(), oks_sigmas=(), sigmas_estimated=True, categories=categories)


def _schema_of(name: str) -> KeypointSchema:
    metadata = resolve_dataset(name)
    if metadata.get("keypoint_names") is None:
        schema = read_schema(metadata.json_file)
        if schema.sigmas_estimated:
            logger.warning(
                "Dataset %r gives no 'oks_sigmas': they are estimated, %.2f for each keypoint.",
                name,
                ESTIMATED_SIGMA,
            )
        metadata.set(**schema.metadata())
    return KeypointSchema.from_metadata(metadata)


def _load_people(name: str, json_file: str, image_root: str) -> list[dict[str, Any]]:
    """Return Detectron2's dicts with the categories that have keypoints, numbered from 0."""
    categories = keypoint_categories(json_file)
    contiguous = {each["id"]: index for index, each in enumerate(categories)}
    MetadataCatalog.get(name).set(
        thing_classes=[str(each.get("name", each["id"])) for each in categories],
        thing_dataset_id_to_contiguous_id=contiguous,
    )
    try:
        with completed_file(json_file) as path:
            dicts = load_coco_json(path, image_root)
    except (AssertionError, *MALFORMED) as error:
        raise InputError(f"{json_file} is not in COCO's format: {error!r}") from error
    for photo in dicts:
        kept = [each for each in photo["annotations"] if each["category_id"] in contiguous]
        for each in kept:
            each["category_id"] = contiguous[each["category_id"]]
        photo["annotations"] = kept
    schema = _schema_of(name)
    if schema.categories:
        _spread_keypoints(json_file, dicts, schema)
    return dicts


def _spread_keypoints(json_file: str, dicts: list[dict[str, Any]], schema: KeypointSchema) -> None:
    """Put each instance's keypoints into its rows of the union; the others are unlabelled."""
    rows = [schema.class_rows(index) for index in range(len(schema.categories))]
    for annotation in (each for photo in dicts for each in photo["annotations"]):
        values = annotation.get("keypoints")
        if not values:
            continue
        category = annotation["category_id"]
        check_keypoints(
            f"{json_file}: annotation of {schema.categories[category][0]!r}",
            values,
            len(rows[category]),
        )
        spread = np.zeros((schema.num_keypoints, 3))
        spread[list(rows[category])] = np.reshape(values, (-1, 3))
        annotation["keypoints"] = spread.flatten().tolist()
