"""Draw what a model is trained on: photos after augmentation, with boxes, keypoints and masks.

    python tools/visualize_data.py --config-file configs/quick/synthetic.py --output output/data
    python tools/visualize_data.py --config-file F --output output/data --sheet

Writes one PNG a photo, in the order of training. With --sheet it writes one page,
augmentations.png: a photo changed by each augmentation of the config on its own, and by all.
Left is orange, right is blue; a disc is a visible keypoint (v = 2), a ring a hidden one (v = 1).
"""

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from detectron2.config import instantiate
from detectron2.data.detection_utils import convert_image_to_rgb
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig
from tqdm import tqdm

from pose_project.data import get_schema
from pose_project.data.augmentation.examples import apply_each
from pose_project.engine import load_config
from pose_project.structures import KeypointSchema
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.visualization import PoseVisualizer
from pose_project.visualization.sheet import draw_sheet


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a training config")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for the PNGs")
    parser.add_argument("--count", type=int, default=12, help="photos to draw (default: 12)")
    parser.add_argument(
        "--sheet", action="store_true", help="one page with every augmentation instead"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def draw(arguments: argparse.Namespace) -> None:
    """Write the pictures."""
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    cfg = load_config(arguments.config_file, arguments.opts)
    schema = get_schema(cfg.dataloader.train.dataset.names)
    if arguments.sheet:
        draw_augmentations(cfg, schema, arguments.output / "augmentations.png")
        return
    loader = instantiate(cfg.dataloader.train)
    photos = itertools.islice(itertools.chain.from_iterable(loader), arguments.count)
    for number, photo in enumerate(tqdm(photos, total=arguments.count, disable=None)):
        path = arguments.output / f"{number:04d}_{photo['image_id']}.png"
        write_png(path, draw_photo(photo, cfg.model.input_format, schema))
    print(f"{arguments.count} photos in {arguments.output}")


def draw_augmentations(cfg: DictConfig, schema: KeypointSchema, path: Path) -> None:
    """Write the sheet, of the photo whose people can be seen best."""
    photos = instantiate(cfg.dataloader.train.dataset)
    mapper = instantiate(cfg.dataloader.train.mapper)
    photo = max(photos, key=lambda each: sum(map(prominence, each["annotations"])))
    pictures = [
        (name, draw_photo(mapped, cfg.model.input_format, schema))
        for name, mapped in apply_each(mapper, photo)
    ]
    write_png(path, draw_sheet(pictures))
    print(f"{path}: {photo['file_name']} in {len(pictures)} panels")


def prominence(annotation: dict[str, Any]) -> float:
    """Return how well a person's pose shows: labelled keypoints times the height in pixels."""
    labelled = sum(v > 0 for v in annotation.get("keypoints", ())[2::3])
    return labelled * annotation["bbox"][3]


def draw_photo(photo: dict[str, Any], image_format: str, schema: KeypointSchema) -> np.ndarray:
    """Return (H', W', 3) RGB: a model's input with its people drawn."""
    picture = convert_image_to_rgb(photo["image"].permute(1, 2, 0), image_format)
    visualizer = PoseVisualizer(picture, schema, scale=max(1.0, 480 / max(picture.shape)))
    return visualizer.draw_training_instances(photo["instances"]).get_image()


def write_png(path: Path, picture_rgb: np.ndarray) -> None:
    """Write (H, W, 3) RGB; the file is whole or not there."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture_rgb[:, :, ::-1])[1].tobytes())


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: draw(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
