"""Reading, augmenting and loading photos against Detectron2's mapper and loader."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from detectron2.data import DatasetMapper, build_detection_train_loader
from detectron2.data import transforms as T

from benchmarks.compare import Comparison, Difference, compare
from pose_project.data import KeypointMapper, build_train_loader, get_dataset_dicts
from pose_project.structures import COCO_PERSON

# name: (height and width of the photos, photos)
_CASES = {"640x480": ((480, 640), 64), "1600x1200": ((1200, 1600), 16)}
_SOURCE = "synthetic_demo_val_100"
_NOISE, _QUALITY = 6.0, 93  # with these a photo of 640x480 has about as many bytes as one of COCO
_RUNS_PER_PHOTO = 8  # starting a worker, and what it loads ahead in vain, is spread over these
_TOTAL_BATCH_SIZE = 8
_SECONDS = 20.0  # of pairs of runs for each comparison
_KEPT_PICTURES = 16  # that are compared; more would be memory that training does not take


@dataclass
class Loaded:
    """Boxes and keypoints by photo, and the pictures of some."""

    points: dict[int, np.ndarray]
    pictures: dict[int, np.ndarray]


class _SeededByPhoto:
    """A mapper whose augmentation depends on the photo alone, so that both sides draw alike."""

    def __init__(self, mapper: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.mapper = mapper

    def __call__(self, photo: dict[str, Any]) -> dict[str, Any]:
        np.random.seed(photo["image_id"])
        return self.mapper(photo)


def measure_loading(peer: str, device: torch.device) -> Iterator[Comparison]:
    """Yield comparisons of the mappers alone and of the loaders with one worker each.

    The augmentations are those of ``configs/keypoint_rcnn_R50_FPN_42ep.py``. One thread a process.

    Args:
        peer: ``detectron2``.
        device: ``cpu``; loading takes no other.
    """
    assert peer == "detectron2"
    flips = COCO_PERSON.hflip_indices
    shared = {"is_train": True, "augmentations": _augmentations(), "image_format": "BGR"}
    ours = _SeededByPhoto(KeypointMapper(hflip_indices=flips, fast_resize=True, **shared))
    theirs = _SeededByPhoto(
        DatasetMapper(use_keypoint=True, keypoint_hflip_indices=np.asarray(flips), **shared)
    )
    for case, (size_hw, count) in _CASES.items():
        with _photos(size_hw, count) as dicts, _one_thread():
            yield compare(
                f"mapper, {case}",
                "detectron2's DatasetMapper",
                {"photos": count, "workers": 0},
                lambda dicts=dicts: _load(map(ours, dicts)),
                lambda dicts=dicts: _load(map(theirs, dicts)),
                _difference,
                device,
                seconds=_SECONDS,
            )
            yield compare(
                f"loader, {case}",
                "detectron2's build_detection_train_loader",
                {"photos": _RUNS_PER_PHOTO * count, "workers": 1},
                partial(_load_batches, build_train_loader, dicts, ours),
                partial(_load_batches, build_detection_train_loader, dicts, theirs),
                _difference,
                device,
                seconds=_SECONDS,
            )


def _augmentations() -> list[T.Augmentation]:
    """Return those of ``configs/common/data.py``."""
    return [
        T.ResizeShortestEdge((640, 672, 704, 736, 768, 800), 1333, "choice"),
        T.RandomFlip(prob=0.5),
    ]


def _load_batches(
    build: Callable[..., Iterable[list[dict[str, Any]]]],
    dicts: list[dict[str, Any]],
    mapper: _SeededByPhoto,
) -> Loaded:
    loader = build(dataset=dicts, mapper=mapper, total_batch_size=_TOTAL_BATCH_SIZE, num_workers=1)
    batches = itertools.chain.from_iterable(loader)
    return _load(itertools.islice(batches, _RUNS_PER_PHOTO * len(dicts)))


def _load(photos: Iterable[dict[str, Any]]) -> Loaded:
    loaded = Loaded({}, {})
    for photo in photos:
        number, instances = photo["image_id"], photo["instances"]
        boxes = instances.gt_boxes.tensor.numpy()
        keypoints = instances.gt_keypoints.tensor.numpy()
        loaded.points[number] = np.concatenate([boxes.ravel(), keypoints.ravel()])
        if number < _KEPT_PICTURES:
            loaded.pictures[number] = photo["image"].numpy()
    return loaded


def _difference(ours: Loaded, theirs: Loaded) -> list[Difference]:
    """Compare photo by photo."""
    missing = ours.points.keys() ^ theirs.points.keys()
    points = [np.abs(ours.points[n] - theirs.points[n]).max(initial=0) for n in theirs.points]
    pictures = [
        np.abs(ours.pictures[number].astype(int) - picture).mean()
        for number, picture in theirs.pictures.items()
    ]
    return [
        Difference("photos missing", len(missing), 0),
        Difference("boxes and keypoints, px", float(np.max(points)), 1e-3),
        Difference("mean of pixels, of 255", float(np.mean(pictures)), 1.0),
    ]


@contextlib.contextmanager
def _photos(size_hw: tuple[int, int], count: int) -> Iterator[list[dict[str, Any]]]:
    """Write synthetic photos, enlarged, as JPEGs and yield their dicts, numbered from 0."""
    height, width = size_hw
    rng = np.random.default_rng(0)
    wide = [each for each in get_dataset_dicts(_SOURCE) if each["width"] > each["height"]]
    with tempfile.TemporaryDirectory() as folder:
        dicts = []
        for number, photo in enumerate(itertools.islice(itertools.cycle(wide), count)):
            image = cv2.resize(
                cv2.imread(photo["file_name"]), (width, height), interpolation=cv2.INTER_CUBIC
            )
            noisy = np.clip(image + rng.normal(0, _NOISE, image.shape), 0, 255).astype(np.uint8)
            path = Path(folder) / f"{number}.jpg"
            cv2.imwrite(str(path), noisy, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            dicts.append(
                photo
                | {"file_name": str(path), "image_id": number, "height": height, "width": width}
                | {
                    "annotations": [
                        _enlarged(a, width / photo["width"]) for a in photo["annotations"]
                    ]
                }
            )
        yield dicts


def _enlarged(annotation: dict[str, Any], scale: float) -> dict[str, Any]:
    keypoints = np.reshape(annotation["keypoints"], (-1, 3)) * (scale, scale, 1)
    return annotation | {
        "bbox": [scale * value for value in annotation["bbox"]],
        "keypoints": keypoints.ravel().tolist(),
    }


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
