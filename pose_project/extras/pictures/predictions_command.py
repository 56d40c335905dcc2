"""Draw what models find on the photos of a config's test dataset, beside the ground truth.

    pose-project visualize-predictions --config-file F --weights W --output DIR
    pose-project visualize-predictions --config-file F --weights W1 W2 --output DIR
    pose-project visualize-predictions --config-file F --weights W --heatmap left_wrist ...
    pose-project visualize-predictions ... train.inference.test_time.temperature=1.0

Writes one PNG a photo, named by its id: the ground truth, then a panel for each of the weights, and
with --heatmap one more for each with where it thinks that keypoint is. With the last line keypoints
have ellipses of one sigma. Several weights are of the same config.
"""

import argparse
from pathlib import Path

from pose_project.commands.options import (
    add_config_options,
    add_device_option,
    add_threshold_options,
    check_thresholds,
    read_config,
)
from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the models, the output, and what is drawn."""
    add_config_options(parser, "config of the models")
    parser.add_argument("--weights", required=True, nargs="+", metavar="W", help="checkpoints")
    add_device_option(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for the PNGs")
    parser.add_argument("--heatmap", metavar="KEYPOINT", help="also draw where this one may be")
    parser.add_argument("--count", type=int, default=12, help="photos to draw (default: 12)")
    parser.add_argument(
        "--scale", type=float, help="pixels of a panel for each of the photo (default: 1 to 4)"
    )
    add_threshold_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write the pictures."""
    check(arguments)
    # late, since --help is answered without PyTorch
    from pose_project.extras.pictures.comparison import Comparison, titles_of

    titles = titles_of(arguments.weights)
    keep = ["model.roi_heads.keypoint_head.keep_heatmaps=True"] if arguments.heatmap else []
    cfg = read_config(arguments, *keep)
    comparison = Comparison(
        cfg,
        titles,
        arguments.heatmap,
        arguments.scale,
        arguments.score_threshold,
        arguments.keypoint_threshold,
    )
    count = comparison.draw_dataset(arguments.count, arguments.output)
    print(f"{count} pictures in {arguments.output}")


def check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be drawn, before any model is loaded."""
    check_thresholds(arguments)
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    if arguments.scale is not None and not 0.1 <= arguments.scale <= 16:
        raise InputError(f"--scale must be from 0.1 to 16, got {arguments.scale}")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise InputError(f"--output {arguments.output} is a file")
