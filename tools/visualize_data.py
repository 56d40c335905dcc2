"""Draw what a model is trained on: photos after augmentation, with boxes, keypoints and masks.

    python tools/visualize_data.py --config-file configs/quick/synthetic.py --output output/data

Writes one PNG a photo, in the order of training. Left is orange, right is blue; a disc is a visible
keypoint (v = 2), a ring a hidden one (v = 1).
"""

import argparse
import itertools
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.config import instantiate
from detectron2.data.detection_utils import convert_image_to_rgb
from detectron2.utils.logger import setup_logger
from tqdm import tqdm

from pose_project.data import get_schema
from pose_project.engine import load_config
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.visualization import PoseVisualizer


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a training config")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for the PNGs")
    parser.add_argument("--count", type=int, default=12, help="photos to draw (default: 12)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def draw(arguments: argparse.Namespace) -> None:
    """Write the pictures."""
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    cfg = load_config(arguments.config_file, arguments.opts)
    loader = instantiate(cfg.dataloader.train)
    schema = get_schema(cfg.dataloader.train.dataset.names)
    photos = itertools.islice(itertools.chain.from_iterable(loader), arguments.count)
    for number, photo in enumerate(tqdm(photos, total=arguments.count, disable=None)):
        picture = to_rgb(photo["image"], cfg.model.input_format)
        visualizer = PoseVisualizer(picture, schema, scale=max(1.0, 480 / max(picture.shape)))
        drawn = visualizer.draw_training_instances(photo["instances"]).get_image()
        path = arguments.output / f"{number:04d}_{photo['image_id']}.png"
        with atomic_path(path) as temporary:
            temporary.write_bytes(cv2.imencode(".png", drawn[:, :, ::-1])[1].tobytes())
    print(f"{arguments.count} photos in {arguments.output}")


def to_rgb(image: torch.Tensor, image_format: str) -> np.ndarray:
    """Return (H, W, 3) RGB of a (3, H, W) image in the model's channel order."""
    return convert_image_to_rgb(image.permute(1, 2, 0), image_format)


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: draw(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
