"""Find people's poses in photos and videos, and draw them.

    pose-project predict --config-file F --weights W --input photo.jpg --output DIR
    pose-project predict --config-file F --weights W --input FOLDER 'trip/*.jpg' clip.mp4 \
        --output DIR --save-json --save-csv --device cpu
    torchrun --nproc-per-node 4 -m pose_project predict ...   the work divided, the outputs the same

DIR/drawn/NAME            photos and videos with people; NAME as below the inputs' common folder
DIR/results.json          --save-json: everything found, in COCO's results format
DIR/images.json           --save-json: which image_id is which photo, or which frame of a video
DIR/keypoints.csv         --save-csv: everything found, a row a keypoint
DIR/parts/NAME.json       what is done; started again, the command goes on from there

The thresholds decide what is drawn; the files hold all that the model finds. Files that cannot be
read are listed at the end, and the exit code is 0; it is 2 if no file could be read.
"""

import argparse
import os
from pathlib import Path

from pose_project.commands.options import (
    add_config_options,
    add_device_option,
    add_threshold_options,
    add_weights_option,
    check_thresholds,
    read_config,
)
from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, what it is given, and what is written."""
    add_config_options(parser)
    add_weights_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="PATH",
        help="photos, videos, folders with their sub-folders, patterns in quotes",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--save-json", action="store_true", help="write results.json, images.json")
    parser.add_argument("--save-csv", action="store_true", help="write keypoints.csv")
    parser.add_argument(
        "--annotations", type=Path, metavar="FILE", help="COCO JSON whose image ids to use"
    )
    parser.add_argument("--no-draw", action="store_true", help="draw nothing")
    add_threshold_options(parser)
    parser.add_argument("--batch-size", type=int, default=4, help="photos at once (default: 4)")


def run(arguments: argparse.Namespace) -> None:
    """Check the options and predict into the folder."""
    check(arguments)
    # late, since --help is answered without PyTorch
    from pose_project.inference.folder import Outputs, predict_into
    from pose_project.inference.sources import find_sources

    sources = find_sources(arguments.input, arguments.output)
    outputs = Outputs(
        arguments.output,
        drawn=not arguments.no_draw,
        json=arguments.save_json,
        csv=arguments.save_csv,
        score_threshold=arguments.score_threshold,
        keypoint_threshold=arguments.keypoint_threshold,
        annotations=arguments.annotations,
    )
    cfg = read_config(arguments)
    predict_into(outputs, sources, cfg, arguments.weights, arguments.batch_size)


def check(arguments: argparse.Namespace) -> None:
    """Refuse numbers out of range and an output that cannot be a folder."""
    check_thresholds(arguments)
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    there = arguments.output
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{there} is a file; --output must be a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--output {arguments.output} cannot be written: no permission in {there}")
