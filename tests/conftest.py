"""Fixtures shared by all tests: real data when it is there, tiny COCO files when it is not."""

import importlib.util
import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.events import EventStorage
from detectron2.utils.logger import setup_logger

from pose_project.engine.run_folder import LOGGERS
from pose_project.structures import COCO_PERSON

ROOT = Path(__file__).resolve().parent.parent

# A run of seconds: few and small photos, on the CPU.
TINY_RUN = [
    "dataloader.train.dataset.names=synthetic_demo_train_12",
    "dataloader.test.dataset.names=synthetic_demo_val_5",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.mapper.augmentations.0.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "train.visualizations=0",
    "train.report=False",
    "train.device=cpu",
]

# Models of a few channels gain nothing from threads, and threads that wait for each other on a busy
# machine make the tests many times slower.
torch.set_num_threads(1)

# A shell starts background jobs with SIGINT ignored, and children inherit it; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real photos and evaluator vectors, named by POSE_PROJECT_TEST_DATA."""
    folder = os.environ.get("POSE_PROJECT_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data not at hand: set POSE_PROJECT_TEST_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def synthetic_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Synthetic photos of the tests live in a folder of their own."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("cache")
    patch.setenv("POSE_PROJECT_CACHE", str(folder))
    yield folder
    patch.undo()


@pytest.fixture(autouse=True)
def registered_datasets() -> Iterator[None]:
    """Names that a test registers are gone after it."""
    before = set(DatasetCatalog.list())
    yield
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Tools log to the standard output that a test captures; that ends with the test."""
    yield
    for name in LOGGERS:
        logging.getLogger(name).handlers.clear()
    logging.getLogger("detectron2.engine.train_loop").filters.clear()
    setup_logger.cache_clear()


@pytest.fixture
def storage() -> Iterator[EventStorage]:
    """Detectron2's event storage, which losses and samplers write into."""
    with EventStorage(0) as opened:
        yield opened


def load_tool(name: str) -> ModuleType:
    """Import a file of ``tools/``, which is no package."""
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def person(
    image_id: int = 1, annotation_id: int = 1, num_keypoints: int = 17, **changes: object
) -> dict:
    """One annotation with every keypoint visible on a diagonal through its box."""
    ramp = np.linspace(12, 40, num_keypoints)
    keypoints = np.stack([ramp, ramp + 5, np.full(num_keypoints, 2)], axis=1)
    annotation = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [10, 15, 34, 34],
        "area": 900.0,
        "num_keypoints": num_keypoints,
        "keypoints": keypoints.flatten().tolist(),
    }
    return {**annotation, **changes}


@pytest.fixture
def write_dataset(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write a COCO JSON and its photos; return the paths of JSON and folder."""

    def write(
        annotations: list[dict],
        names: tuple[str, ...] = COCO_PERSON.names,
        sizes_hw: tuple[tuple[int, int], ...] = ((64, 80),),
        **category: object,
    ) -> tuple[Path, Path]:
        photos = tmp_path / "photos"
        photos.mkdir(exist_ok=True)
        images = []
        for image_id, (height, width) in enumerate(sizes_hw, 1):
            noise = np.random.default_rng(image_id).integers(0, 255, (height, width, 3), np.uint8)
            cv2.imwrite(str(photos / f"{image_id}.png"), noise)
            images.append(
                {"id": image_id, "file_name": f"{image_id}.png", "height": height, "width": width}
            )
        entry = {"id": 1, "name": "person", "keypoints": list(names), "skeleton": [], **category}
        content = {"images": images, "annotations": annotations, "categories": [entry]}
        json_file = tmp_path / "annotations.json"
        json_file.write_text(json.dumps(content))
        return json_file, photos

    return write
