"""Find people's poses in photos and videos, and draw them.

    python tools/predict.py --config-file F --weights W --input photo.jpg --output DIR
    python tools/predict.py --config-file F --weights W --input FOLDER 'trip/*.jpg' clip.mp4 \
        --output DIR --save-json --save-csv train.device=cpu
    torchrun --nproc-per-node 4 tools/predict.py ...   the work divided, the outputs the same

DIR/drawn/NAME            photos and videos with people; NAME as below the inputs' common folder
DIR/results.json          --save-json: everything found, in COCO's results format
DIR/images.json           --save-json: which image_id is which photo, or which frame of a video
DIR/keypoints.csv         --save-csv: everything found, a row a keypoint
DIR/parts/NAME.json       what is done; started again, the tool goes on from there

The thresholds decide what is drawn; the files hold all that the model finds. Files that cannot be
read are listed at the end, and the exit code is 0; it is 2 if no file could be read.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from detectron2.utils.logger import setup_logger

from pose_project.engine import load_config
from pose_project.inference.finished_parts import PartsFolder, settings_of
from pose_project.inference.model import load_categories, schema_of
from pose_project.inference.outputs import ImageIds, write_coco, write_csv
from pose_project.inference.predictor import PosePredictor
from pose_project.inference.run import Drawing, own_share, predict_sources, use_own_gpu
from pose_project.inference.sources import Source, find_sources
from pose_project.inference.video import pyav
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="a training config")
    parser.add_argument("--weights", required=True, metavar="FILE", help="a checkpoint")
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
    parser.add_argument(
        "--score-threshold", type=float, default=0.5, help="of people drawn, 0 to 1 (default: 0.5)"
    )
    parser.add_argument(
        "--keypoint-threshold",
        type=float,
        default=0.05,
        help="of keypoints drawn, 0 to 1 (default: 0.05)",
    )
    parser.add_argument("--batch-size", type=int, default=4, help="photos at once (default: 4)")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Predict this process's share; whoever finds everything done writes the files."""
    check(arguments)
    output = arguments.output
    sources = find_sources(arguments.input, output)
    if any(source.is_video for source in sources):
        pyav()
    cfg = load_config(arguments.config_file, arguments.opts)
    use_own_gpu()
    categories = load_categories(cfg, arguments.weights)
    schema = schema_of(categories, arguments.weights)
    ids = ImageIds(categories, arguments.annotations)
    ids.check(sources)
    drawing = None
    if not arguments.no_draw:
        thresholds = arguments.score_threshold, arguments.keypoint_threshold
        drawing = Drawing(output / "drawn", schema, *thresholds)
    thresholds = [drawing.score_threshold, drawing.keypoint_threshold] if drawing else []
    parts = PartsFolder(
        output / "parts", settings_of(cfg, arguments.weights, categories, thresholds)
    )
    parts.check()
    share = own_share(sources)
    todo = parts.missing(share)
    if todo:
        predictor = PosePredictor(cfg, arguments.weights)
        parts.open()
        predict_sources(todo, predictor, parts, drawing, arguments.batch_size)
    missing = parts.missing(sources)
    if missing:
        print(f"{len(missing)} of {len(sources)} files are still with other processes")
        return
    if arguments.save_json:
        files = output / "results.json", output / "images.json"
        write_coco(*files, parts.read_all(sources), ids, categories, schema)
    if arguments.save_csv:
        names = [each["name"] for each in categories]
        write_csv(output / "keypoints.csv", parts.read_all(sources), names, schema)
    summarise(output, sources, parts, len(share) - len(todo))


def check(arguments: argparse.Namespace) -> None:
    """Refuse numbers out of range and an output that cannot be a folder."""
    for name in ("score_threshold", "keypoint_threshold"):
        value = getattr(arguments, name)
        if not 0 <= value <= 1:
            raise InputError(f"--{name.replace('_', '-')} must be in 0 to 1, got {value}")
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {arguments.batch_size}")
    there = arguments.output
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{there} is a file; --output must be a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--output {arguments.output} cannot be written: no permission in {there}")


def summarise(
    output: Path, sources: Sequence[Source], parts: PartsFolder, done_before: int
) -> None:
    """Print what is there, and what could not be read.

    Raises:
        InputError: if nothing could be read.
    """
    problems, num_frames, num_people = [], 0, 0
    for _, part in parts.read_all(sources):
        num_frames += len(part.frames)
        num_people += sum(len(poses) for poses in part.frames)
        if part.problem:
            problems.append(part.problem)
    for problem in problems:
        print(f"not read: {problem}", file=sys.stderr)
    if not num_frames:
        raise InputError(f"none of {len(sources)} files could be read, such as {sources[0].path}")
    videos = sum(source.is_video for source in sources)
    before = f", {done_before} of them earlier" if done_before else ""
    print(
        f"{len(sources) - videos} photos and {videos} videos{before}: {num_people} detections in "
        f"{num_frames} pictures; {len(problems)} files with problems; all in {output}"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
