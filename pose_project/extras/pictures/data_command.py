"""Draw what a model is trained on: photos after augmentation, with boxes, keypoints and masks.

    pose-project visualize-data --config-file configs/quick/synthetic.py --output output/data
    pose-project visualize-data --config-file F --output output/data --sheet

Writes one PNG a photo, in the order of training. With --sheet it writes one page,
augmentations.png: a photo changed by each augmentation of the config on its own, and by all.
Left is orange, right is blue; a disc is a visible keypoint (v = 2), a ring a hidden one (v = 1).
"""

import argparse
from pathlib import Path

from pose_project.commands.options import add_config_options, read_config
from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the config, the output, and what is drawn."""
    add_config_options(parser, "a training config")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for the PNGs")
    parser.add_argument("--count", type=int, default=12, help="photos to draw (default: 12)")
    parser.add_argument(
        "--sheet", action="store_true", help="one page with every augmentation instead"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the pictures."""
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    # late, since --help is answered without PyTorch
    from pose_project.extras.pictures.training_images import (
        draw_augmentations,
        draw_training_images,
    )

    cfg = read_config(arguments)
    if arguments.sheet:
        draw_augmentations(cfg, arguments.output / "augmentations.png")
    else:
        draw_training_images(cfg, arguments.count, arguments.output)
