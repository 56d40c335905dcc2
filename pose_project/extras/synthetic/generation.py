"""Synthetic photos as a dataset on disk in COCO 2017's layout, made once and then cached."""

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from pose_project.extras.synthetic.annotate import PERSON_CATEGORY_ID, scene_annotations
from pose_project.extras.synthetic.levels import LEVELS
from pose_project.extras.synthetic.scene import LANDSCAPE_WH, sample_scene
from pose_project.structures.schema import COCO_PERSON
from pose_project.utils.cache import cache_folder
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

GENERATOR_VERSION = 1
"""Raise it with every change that alters a photo or an annotation: cached sets are then remade."""

# Image ids of the splits are distinct, as COCO's are.
_FIRST_IMAGE_ID = {"train": 1, "val": 1_000_001}
_JPEG_QUALITY = 90
_FEWEST_FOR_A_POOL = 32
_CHUNK = 16


def synthetic_photo(level: str, split: str, index: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Make one photo; it depends on the three arguments alone.

    Args:
        level: a key of ``LEVELS``.
        split: ``train`` or ``val``.
        index: place in the split, from 0.

    Returns:
        photo: (H, W, 3) uint8 BGR.
        annotations: COCO annotation dicts; keypoints are pixel indices, boxes XYWH.

    Raises:
        InputError: if the level or split is unknown or the index negative.
    """
    _check(level, split)
    if index < 0:
        raise InputError(f"index of a synthetic photo must be 0 or more, got {index}")
    # Not Python's hash(), which differs from process to process.
    entropy = int.from_bytes(hashlib.sha256(f"{level}/{split}".encode()).digest()[:8], "big")
    rng = np.random.default_rng(np.random.SeedSequence((entropy, index)))
    scene = sample_scene(rng, LEVELS[level])
    return scene.photo, scene_annotations(scene, _FIRST_IMAGE_ID[split] + index)


def ensure_synthetic_dataset(
    level: str, split: str, num_photos: int, cache_dir: Path | None = None
) -> Path:
    """Return the folder of a synthetic dataset, which is made if it is not there.

    The folder holds ``annotations/person_keypoints_<split>2017.json`` and
    ``<split>2017/<image id, 12 digits>.jpg``. It appears as a whole or not at all, also when
    several processes ask for it at once. The same arguments give the same bytes; a smaller set is
    the beginning of a larger one.

    Args:
        level: a key of ``LEVELS``.
        split: ``train`` or ``val``; they share no photo and no image id.
        num_photos: how many photos.
        cache_dir: where datasets are kept; else ``$POSE_PROJECT_CACHE``, else
            ``~/.cache/pose_project``.

    Raises:
        InputError: if the level or split is unknown or ``num_photos`` is below 1.
        OSError: if the cache cannot be written.
    """
    _check(level, split)
    if num_photos < 1:
        raise InputError(f"num_photos of a synthetic dataset must be 1 or more, got {num_photos}")
    cache = Path(cache_dir) if cache_dir else cache_folder()
    root = cache / f"synthetic_{level}_{split}_{num_photos}_{_fingerprint(level, split)}"
    if root.is_dir():
        return root
    temporary = cache / f".{root.name}.{uuid.uuid4().hex}.tmp"
    try:
        _write_dataset(temporary, level, split, num_photos)
        _publish(temporary, root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def _check(level: str, split: str) -> None:
    if level not in LEVELS:
        raise InputError(f"unknown level {level!r} of synthetic photos; known: {', '.join(LEVELS)}")
    if split not in _FIRST_IMAGE_ID:
        known = ", ".join(_FIRST_IMAGE_ID)
        raise InputError(f"unknown split {split!r} of synthetic photos; known: {known}")


def _fingerprint(level: str, split: str) -> str:
    """Return 8 hex digits that change with everything a dataset is made from."""
    parameters = {
        "version": GENERATOR_VERSION,
        "level": asdict(LEVELS[level]),
        "split": split,
        "first_image_id": _FIRST_IMAGE_ID[split],
        "jpeg_quality": _JPEG_QUALITY,
        "size_wh": LANDSCAPE_WH,
    }
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]


def _write_dataset(root: Path, level: str, split: str, num_photos: int) -> None:
    photos = root / f"{split}2017"
    photos.mkdir(parents=True)
    annotation_file = root / "annotations" / f"person_keypoints_{split}2017.json"
    annotation_file.parent.mkdir()
    logger.info("Making %d synthetic photos (level %s, %s).", num_photos, level, split)
    images, annotations = [], []
    for image, of_image in _write_photos(photos, level, split, num_photos):
        images.append(image)
        annotations += of_image
    images.sort(key=lambda image: image["id"])
    annotations.sort(key=lambda annotation: annotation["id"])
    dataset = {
        "info": {
            "description": f"synthetic people, level {level}, {split}",
            "version": str(GENERATOR_VERSION),
        },
        "licenses": [],
        "categories": [COCO_PERSON.to_coco_category(PERSON_CATEGORY_ID, "person")],
        "images": images,
        "annotations": annotations,
    }
    annotation_file.write_text(json.dumps(dataset, separators=(",", ":")), encoding="utf-8")


def _publish(temporary: Path, root: Path) -> None:
    try:
        temporary.rename(root)
    except OSError:
        # Another process was first; its dataset has the same bytes.
        if not root.is_dir():
            raise


_Entry = tuple[dict[str, Any], list[dict[str, Any]]]


def _write_photos(folder: Path, level: str, split: str, num_photos: int) -> Iterator[_Entry]:
    """Write all photos and yield (image entry, annotations) of each, in any order."""
    starts = range(0, num_photos, _CHUNK)
    chunks = [range(start, min(start + _CHUNK, num_photos)) for start in starts]
    with tqdm(total=num_photos, unit="photo", disable=not sys.stderr.isatty()) as progress:
        if num_photos < _FEWEST_FOR_A_POOL:
            for chunk in chunks:
                yield from _write_chunk(folder, level, split, chunk)
                progress.update(len(chunk))
            return
        # Spawned, since a fork of a process that runs threads may hang.
        pool = ProcessPoolExecutor(
            max_workers=min(os.cpu_count() or 1, len(chunks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=cv2.setNumThreads,
            initargs=(1,),
        )
        try:
            futures = [pool.submit(_write_chunk, folder, level, split, chunk) for chunk in chunks]
            for future in as_completed(futures):
                entries = future.result()
                yield from entries
                progress.update(len(entries))
        finally:
            pool.shutdown(cancel_futures=True)


def _write_chunk(folder: Path, level: str, split: str, indices: range) -> list[_Entry]:
    entries = []
    for index in indices:
        photo, annotations = synthetic_photo(level, split, index)
        image_id = _FIRST_IMAGE_ID[split] + index
        name = f"{image_id:012d}.jpg"
        encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        (folder / name).write_bytes(encoded.tobytes())
        height, width = photo.shape[:2]
        entry = {"id": image_id, "file_name": name, "height": height, "width": width}
        entries.append((entry, annotations))
    return entries
