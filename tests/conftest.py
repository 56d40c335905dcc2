"""Fixtures shared by all tests: real data when it is there, tiny COCO files when it is not."""

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.events import EventStorage
from detectron2.utils.logger import setup_logger
from helpers.fake_gpu import IS_SUPPORTED, plugged_in
from helpers.file_server import FileServer
from helpers.random_weights import save_random_weights
from helpers.repository import ROOT
from helpers.runs import TINY
from omegaconf import DictConfig

from pose_project.config.loading import load_config
from pose_project.engine import PoseTrainer
from pose_project.engine.run_folder import LOGGERS
from pose_project.structures import COCO_PERSON

# Models of a few channels gain nothing from threads, and threads that wait for each other on a busy
# machine make the tests many times slower.
torch.set_num_threads(1)

# Hypothesis fails an example that takes more than 200 ms, whoever else uses the machine.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

# A shell starts background jobs with SIGINT ignored, and children inherit it; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real photos and evaluator vectors, named by POSE_PROJECT_TEST_DATA."""
    folder = os.environ.get("POSE_PROJECT_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data not at hand: set POSE_PROJECT_TEST_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def cases(test_data: Path) -> Path:
    """The folder with files as tools really write them, beside the real photos."""
    folder = test_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def synthetic_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Synthetic photos of the tests live in a folder of their own."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("cache")
    patch.setenv("POSE_PROJECT_CACHE", str(folder))
    yield folder
    patch.undo()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the compact model, with a JSON beside them as training writes it."""
    return save_random_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Three photos, two of which have the same size."""
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (200, 90), (120, 160)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A web server on this machine, which sends files as well or as badly as a test wants."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as opened:
        yield opened


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


@pytest.fixture(scope="session", autouse=True)
def pretended_gpu_is_known() -> None:
    """Autograd counts the devices once, at the first backward pass of a process."""
    if IS_SUPPORTED and not torch.cuda.is_available():
        with plugged_in() as device:
            torch.ones(1, device=device, requires_grad=True).sum().backward()


@pytest.fixture
def storage() -> Iterator[EventStorage]:
    """Detectron2's event storage, which losses and samplers write into."""
    with EventStorage(0) as opened:
        yield opened


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


@pytest.fixture
def tiny_config(tmp_path: Path) -> Callable[..., DictConfig]:
    def make(*overrides: str, folder: str = "run") -> DictConfig:
        config = str(ROOT / "configs/quick/synthetic.py")
        return load_config(config, [*TINY, f"train.output_dir={tmp_path / folder}", *overrides])

    return make


@pytest.fixture
def start(tiny_config) -> Callable[..., PoseTrainer]:
    """Build a trainer for a tiny run, ready to train."""

    def make(*overrides: str, folder: str = "run", resume: bool = False) -> PoseTrainer:
        cfg = tiny_config(*overrides, folder=folder)
        Path(cfg.train.output_dir).mkdir(exist_ok=True)
        trainer = PoseTrainer(cfg)
        trainer.resume_or_load(resume=resume)
        return trainer

    return make
