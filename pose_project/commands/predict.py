"""Find people's poses in photos and videos, and draw them.

    pose-project predict photo.jpg
    pose-project predict photo.jpg clip.mp4 FOLDER 'trip/*.jpg' --model torchvision_COCO_V1
    pose-project predict photo.jpg --json - --no-draw
    pose-project predict 0 --show                            camera 0, until q or Ctrl+C

Draws photo_poses.jpg beside photo.jpg and prints who was found. The model is one that the command
models lists, the folder of a run of your own (--model output/mine), or a config and its weights.

    pose-project predict FOLDER --output DIR --save-json --save-csv
    torchrun --nproc-per-node 4 -m pose_project predict ...   the work divided, the outputs the same
    pose-project predict ... --output DIR --engine ray        the same on a Ray cluster

DIR/drawn/NAME            photos and videos with people; NAME as below the inputs' common folder
DIR/results.json          --save-json: everything found, in COCO's results format
DIR/images.json           --save-json: which image_id is which photo, or which frame of a video
DIR/keypoints.csv         --save-csv: everything found, a row a keypoint
DIR/parts/NAME.json       what is done; started again, the command goes on from there

Shards, a folder or address of tar files, are predicted into DIR/shards/NAME.jsonl, a line a photo,
without drawings.

The thresholds decide what is drawn and told; the files hold all that the model finds. Files that
cannot be read are listed, and the exit code is 0; it is 2 if no file could be read.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pose_project.commands.options import (
    add_device_option,
    add_model_options,
    add_threshold_options,
    check_thresholds,
    read_model,
    take_paths,
)
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra, need_extra

if TYPE_CHECKING:
    from pose_project.inference.folder import Engine
    from pose_project.inference.sources import Source


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, what it is given, and what is written."""
    add_model_options(
        parser, "PATH", "photos, videos, folders, patterns in quotes, a camera's number"
    )
    add_device_option(parser)
    parser.add_argument("--input", nargs="+", default=[], metavar="PATH", help="more of them")
    parser.add_argument("--output", type=Path, metavar="DIR", help="a folder for what is made")
    parser.add_argument("--save-json", action="store_true", help="write results.json, images.json")
    parser.add_argument("--save-csv", action="store_true", help="write keypoints.csv")
    parser.add_argument(
        "--annotations", type=Path, metavar="FILE", help="COCO JSON whose image ids to use"
    )
    parser.add_argument(
        "--parquet", action="store_true", help="of shards: Parquet files instead of JSON lines"
    )
    parser.add_argument("--json", metavar="FILE", help="everything found; - prints it")
    parser.add_argument("--show", action="store_true", help="in a window, too")
    parser.add_argument("--no-draw", action="store_true", help="draw nothing")
    add_threshold_options(parser)
    parser.add_argument("--engine", choices=["ray"], help="divides the work; needs --output")
    parser.add_argument(
        "--actors", type=int, metavar="N", help="of Ray (default: one a GPU, else one a CPU)"
    )
    parser.add_argument("--batch-size", type=int, default=4, help="photos at once (default: 4)")


def run(arguments: argparse.Namespace) -> None:
    """Check the options and predict, into a folder or beside the inputs."""
    inputs = [*arguments.input, *take_paths(arguments)]
    check(arguments, inputs)
    # late, since --help is answered without PyTorch
    from pose_project.inference.sources import find_camera, find_sources

    shards = find_extra("shards.predicting")
    tars = shards.find_tars(inputs) if shards else None
    if tars is not None:
        _check_for_shards(arguments)
        cfg, weights = read_model(arguments)
        options = arguments.batch_size, arguments.save_json, _engine(arguments), arguments.parquet
        shards.predict_tars(tars, arguments.output, cfg, weights, *options)
        return
    if arguments.parquet:
        raise InputError("--parquet goes with shards")
    camera = find_camera(inputs)
    if camera and arguments.output:
        raise InputError("a camera is drawn into the current folder: leave out --output")
    sources = [camera] if camera else find_sources(inputs, arguments.output)
    (_into_folder if arguments.output else _beside)(arguments, sources)


def _check_for_shards(arguments: argparse.Namespace) -> None:
    if arguments.output is None:
        raise InputError("shards need --output: what is found in each becomes a file there")
    for name in ("save_csv", "annotations"):
        if getattr(arguments, name):
            raise InputError(f"--{name.replace('_', '-')} does not go with shards")


def _beside(arguments: argparse.Namespace, sources: "list[Source]") -> None:
    from pose_project.inference.beside import Beside, predict_beside

    beside = Beside(
        drawn=not arguments.no_draw,
        shown=arguments.show,
        json=arguments.json,
        score_threshold=arguments.score_threshold,
        keypoint_threshold=arguments.keypoint_threshold,
    )
    beside.check(sources)
    cfg, weights = read_model(arguments)
    predict_beside(beside, sources, cfg, weights, arguments.batch_size)


def _into_folder(arguments: argparse.Namespace, sources: "list[Source]") -> None:
    from pose_project.inference.folder import Outputs, predict_into

    outputs = Outputs(
        arguments.output,
        drawn=not arguments.no_draw,
        json=arguments.save_json,
        csv=arguments.save_csv,
        score_threshold=arguments.score_threshold,
        keypoint_threshold=arguments.keypoint_threshold,
        annotations=arguments.annotations,
    )
    cfg, weights = read_model(arguments)
    predict_into(outputs, sources, cfg, weights, arguments.batch_size, _engine(arguments))


def _engine(arguments: argparse.Namespace) -> "Engine | None":
    if arguments.engine is None:
        return None
    ray_data = need_extra("ray_data.engine", "--engine ray needs")
    return partial(ray_data.run_with_ray, actors=arguments.actors)


def check(arguments: argparse.Namespace, inputs: Sequence[str]) -> None:
    """Refuse options that exclude each other, numbers out of range, a file for a folder."""
    if not inputs:
        raise InputError("nothing to predict: name photos, videos, folders or a camera's number")
    check_thresholds(arguments)
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    if arguments.actors is not None and (arguments.actors < 1 or not arguments.engine):
        raise InputError("--actors must be at least 1, and goes with --engine ray")
    without, alone = ("save_json", "save_csv", "annotations", "engine"), ("json", "show")
    for name in without if arguments.output is None else alone:
        if getattr(arguments, name):
            needs = "needs" if name in without else "does not go with"
            raise InputError(f"--{name.replace('_', '-')} {needs} --output")
    if arguments.output is not None:
        check_output(arguments.output)


def check_output(output: Path) -> None:
    """Raise ``InputError`` unless a folder is there or can be made."""
    there = output
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{there} is a file; --output must be a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--output {output} cannot be written: no permission in {there}")
