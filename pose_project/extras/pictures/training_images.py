"""What a model is trained on, drawn: photos as the mapper gives them to it."""

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from detectron2.config import instantiate
from detectron2.data.detection_utils import convert_image_to_rgb
from omegaconf import DictConfig
from tqdm import tqdm

from pose_project.data import get_schema
from pose_project.extras.pictures.augmentation_examples import apply_each
from pose_project.extras.pictures.sheet import draw_sheet
from pose_project.structures import KeypointSchema
from pose_project.utils.files import atomic_path
from pose_project.visualization import PoseVisualizer


def draw_training_images(cfg: DictConfig, count: int, folder: Path) -> None:
    """Write a PNG for each of the first photos of training, in its order."""
    schema = get_schema(cfg.dataloader.train.dataset.names)
    loader = instantiate(cfg.dataloader.train)
    records = itertools.islice(itertools.chain.from_iterable(loader), count)
    for number, record in enumerate(tqdm(records, total=count, disable=None)):
        path = folder / f"{number:04d}_{record['image_id']}.png"
        _write_png(path, _draw_image(record, cfg.model.input_format, schema))
    print(f"{count} photos in {folder}")


def draw_augmentations(cfg: DictConfig, path: Path) -> None:
    """Write a sheet with every augmentation, of the photo whose people can be seen best."""
    schema = get_schema(cfg.dataloader.train.dataset.names)
    records = instantiate(cfg.dataloader.train.dataset)
    mapper = instantiate(cfg.dataloader.train.mapper)
    record = max(records, key=lambda each: sum(map(_prominence, each["annotations"])))
    pictures = [
        (name, _draw_image(mapped, cfg.model.input_format, schema))
        for name, mapped in apply_each(mapper, record)
    ]
    _write_png(path, draw_sheet(pictures))
    print(f"{path}: {record['file_name']} in {len(pictures)} panels")


def _prominence(annotation: dict[str, Any]) -> float:
    """Return how well a person's pose shows: labelled keypoints times the height in pixels."""
    labelled = sum(v > 0 for v in annotation.get("keypoints", ())[2::3])
    return labelled * annotation["bbox"][3]


def _draw_image(record: dict[str, Any], image_format: str, schema: KeypointSchema) -> np.ndarray:
    """Return (H', W', 3) RGB: a model's input with its people drawn."""
    picture = convert_image_to_rgb(record["image"].permute(1, 2, 0), image_format)
    visualizer = PoseVisualizer(picture, schema, scale=max(1.0, 480 / max(picture.shape)))
    return visualizer.draw_training_instances(record["instances"]).get_image()


def _write_png(path: Path, picture_rgb: np.ndarray) -> None:
    """Write (H, W, 3) RGB; the file is whole or not there."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture_rgb[:, :, ::-1])[1].tobytes())
