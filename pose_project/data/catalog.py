"""Datasets by name: registration, files, schema, and the dicts that training reads.

Names that work everywhere: those registered with :func:`register_keypoint_dataset` or in
Detectron2's ``DatasetCatalog``, its own ``keypoints_coco_2017_*``,
``<annotations>.json@<folder of images>``, and those of a :class:`DatasetFamily`. Where the file
does not list its keypoints, ``<annotations>.json@<folder>?schema=<name or file>`` says what they
are. The folder may be one of shards, and both may be addresses, such as ``s3://bucket/shards``.
"""

import itertools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog, detection_utils
from detectron2.data.build import (
    filter_images_with_few_keypoints,
    filter_images_with_only_crowd_annotations,
    print_instances_class_histogram,
)
from omegaconf import OmegaConf

from pose_project.data.annotation_files import (
    MALFORMED,
    give_schema,
    keypoint_categories,
    load_annotations,
    read_schema,
)
from pose_project.data.dataset_dicts import to_dataset_dicts
from pose_project.data.validation import check_dataset_dicts
from pose_project.structures import KeypointSchema
from pose_project.structures.schema import ESTIMATED_SIGMA
from pose_project.utils.errors import InputError, did_you_mean
from pose_project.utils.extras import find_in_extras, need_extra
from pose_project.utils.json_files import collection_paused

logger = logging.getLogger(__name__)

_WHERE_COCO_IS = (
    ", or set DETECTRON2_DATASETS to the folder that holds coco/annotations, coco/train2017 and "
    "coco/val2017 (tools/prepare_coco.py fetches them)"
)
_PATH_NAME = re.compile(r"(.*?\.json|[^@]*)@(.*)")
_SCHEMA = "?schema="
_DETECTRON2_NAME = re.compile(r"keypoints_coco_20\d\d_.*")


@dataclass(frozen=True)
class DatasetFamily:
    """Datasets whose names follow a pattern and which are made, or found, when first used.

    Args:
        pattern: of the whole name.
        register: is given the match, makes the dataset and registers its name.
        categories: what a model trained on any of them predicts, as in a COCO JSON.
    """

    pattern: re.Pattern[str]
    register: Callable[[re.Match[str]], None]
    categories: tuple[dict[str, Any], ...]


_FAMILIES: list[DatasetFamily] = []


def register_dataset_family(family: DatasetFamily) -> None:
    """Make the names of a family known; an extra does so in its module ``datasets``."""
    _FAMILIES.append(family)


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
    DatasetCatalog.register(name, lambda: _load_coco(name))
    metadata = MetadataCatalog.get(name)
    metadata.set(json_file=json_file, image_root=image_root, evaluator_type="coco")
    if schema is not None:
        metadata.set(**schema.metadata())


def resolve_dataset(name: str) -> Any:
    """Return the ``MetadataCatalog`` entry of a dataset whose files are there.

    Datasets of a family are made if they are not there yet.

    Raises:
        InputError: if the name is unknown or a file of the dataset is missing.
    """
    if name not in DatasetCatalog:
        family, match = _family_of(name)
        if family is not None:
            family.register(match)
        elif path := _PATH_NAME.fullmatch(name):
            _register_path(name, *path.groups())
    if name not in DatasetCatalog:
        near = did_you_mean(name, DatasetCatalog.list())
        raise InputError(f"no dataset named {name!r} is registered{near}")
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


def _register_path(name: str, json_file: str, image_root: str) -> None:
    image_root, _, schema = image_root.partition(_SCHEMA)
    if not json_file or not image_root:
        raise InputError(
            f"dataset {name!r} is not ANNOTATIONS.json@FOLDER_OF_PHOTOS; with "
            "configs/custom_dataset.py set custom.train_json, custom.val_json and "
            "custom.image_root"
        )
    if "://" in name:
        remote_files = need_extra("shards.remote_files", "addresses need")
        json_file, image_root = remote_files.local_copies(json_file, image_root)
    register_keypoint_dataset(name, json_file, image_root)
    give_schema(json_file, schema)


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


def get_categories(dataset_names: str | Sequence[str]) -> list[dict[str, Any]]:
    """Return what a model trained on datasets predicts, as ``categories`` of a COCO JSON.

    They are those of the first one, in the order of the model's classes. Where Detectron2's
    metadata know the keypoints, and for families of datasets, nothing has to be there; otherwise
    the annotations are read.

    Raises:
        InputError: if the dataset is unknown, or its annotations are missing and needed.
    """
    dataset_name = _first(dataset_names)
    known = dataset_name in DatasetCatalog
    family, _ = (None, None) if known else _family_of(dataset_name)
    if family is not None:
        return list(family.categories)
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


def schema_suffix(*schema: str) -> str:
    """Return what follows a dataset's name to give it a schema; "" for none.

    It is the resolver ``${schema_suffix:...}`` of configs, which splits at commas.

    >>> "train.json@photos" + schema_suffix("hand21")
    'train.json@photos?schema=hand21'
    """
    given = ",".join(map(str, schema))
    return f"{_SCHEMA}{given}" if given else ""


OmegaConf.register_new_resolver("schema_suffix", schema_suffix, replace=True)


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
    return len(keypoint_categories(resolve_dataset(_first(dataset_names)).json_file))


def _first(dataset_names: str | Sequence[str]) -> str:
    return dataset_names if isinstance(dataset_names, str) else dataset_names[0]


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
        readers = need_extra("selective_search.proposal_files", "proposal_files need")
        # one dataset after the other, since two may use the same image ids
        return [
            photo
            for name, file in zip(names, files, strict=True)
            for photo in readers.add_proposals(
                get_dataset_dicts(name, filter_empty, min_keypoints), file, name
            )
        ]
    schema = get_schema(names)
    try:
        with collection_paused():
            loaded = [_load_dicts(name, schema.num_keypoints) for name in names]
            dicts = _filter(names, loaded, filter_empty, min_keypoints)
    except InputError:
        raise
    except (AssertionError, *MALFORMED) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"datasets {names} cannot be used: {reason}") from error
    if not dicts:
        raise InputError(f"datasets {names} cannot be used: nobody in them can be trained on")
    return dicts


def _load_dicts(name: str, num_keypoints: int) -> list[dict[str, Any]]:
    """Return all dicts of one dataset; Detectron2's own names are read as ours are."""
    if _DETECTRON2_NAME.fullmatch(name):
        dicts = _load_coco(name)
    else:
        dicts = DatasetCatalog.get(name)
        check_dataset_dicts(name, dicts, num_keypoints)
    if not dicts:
        raise InputError(f"dataset {name!r} has no images")
    return dicts


def _filter(
    names: list[str],
    loaded: list[list[dict[str, Any]]],
    filter_empty: bool,
    min_keypoints: int,
) -> list[dict[str, Any]]:
    """Return the images to use of all datasets, as ``get_detection_dataset_dicts`` does."""
    dicts = list(itertools.chain.from_iterable(loaded))
    if "annotations" not in dicts[0]:
        return dicts
    if filter_empty:
        dicts = filter_images_with_only_crowd_annotations(dicts)
    if min_keypoints > 0:
        dicts = filter_images_with_few_keypoints(dicts, min_keypoints)
    classes = MetadataCatalog.get(names[0]).get("thing_classes")
    if classes is not None:
        detection_utils.check_metadata_consistency("thing_classes", names)
        if dicts:
            print_instances_class_histogram(dicts, classes)
    return dicts


def _family_of(name: str) -> tuple[DatasetFamily, re.Match[str]] | tuple[None, None]:
    """Return the family that a name belongs to, and how."""
    find_in_extras("datasets")  # where they register themselves
    for family in _FAMILIES:
        match = family.pattern.fullmatch(name)
        if match:
            return family, match
    return None, None


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


def _load_coco(name: str) -> list[dict[str, Any]]:
    """Return Detectron2's dicts with the categories that have keypoints, numbered from 0."""
    metadata = MetadataCatalog.get(name)
    annotations = load_annotations(metadata.json_file)
    categories = keypoint_categories(metadata.json_file)
    metadata.set(
        thing_classes=[str(each.get("name", each["id"])) for each in categories],
        thing_dataset_id_to_contiguous_id={
            each["id"]: index for index, each in enumerate(categories)
        },
    )
    return to_dataset_dicts(annotations, metadata.image_root, _schema_of(name))
