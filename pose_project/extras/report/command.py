"""Explain a model's keypoint results: what is wrong, with which keypoints, and what it costs.

    pose-project analyze --annotations GT.json --results R.json --output DIR
    pose-project analyze --annotations GT.json --results R.json --compare R2.json --output DIR

Writes DIR/report.html, report.md, report.json and PNG plots; with --images the page shows the
photos. The ground truth is in COCO's format, of any skeleton and of one category or several;
results are in COCO's format or another that docs/formats.md lists.
"""

import argparse
from pathlib import Path

from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ground truth, results and the folder of the report."""
    parser.add_argument("--annotations", required=True, type=Path, metavar="GT.json")
    parser.add_argument(
        "--results",
        required=True,
        type=Path,
        metavar="R.json",
        help="of COCO's format, AlphaPose, MMPose, OpenPifPaf, OpenPose or Ultralytics; a folder "
        "where there is a file for each photo",
    )
    parser.add_argument(
        "--compare", type=Path, metavar="R2.json", help="another model's results on the same photos"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="the photos, for the gallery")
    parser.add_argument(
        "--schema",
        help="what the keypoints are where GT.json lists none: a name such as coco_wholebody or "
        "hand21, or a COCO JSON with the categories",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the photos drawn for the intervals (default: 0)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the report and print the headline."""
    if arguments.images is not None and not arguments.images.is_dir():
        raise InputError(f"--images {arguments.images} is not a folder")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise InputError(f"--output {arguments.output} is a file")
    if arguments.seed < 0:
        raise InputError(f"--seed must be 0 or more, got {arguments.seed}")
    # late, since --help is answered without PyTorch
    from pose_project.evaluation import format_table
    from pose_project.extras.report.analysis import analyse
    from pose_project.extras.report.html import require_plotly
    from pose_project.extras.report.written_files import write_report

    require_plotly()
    report = analyse(
        arguments.annotations,
        arguments.results,
        arguments.compare,
        arguments.images,
        arguments.seed,
        arguments.schema,
    )
    plots = write_report(report, arguments.output)
    for task, numbers in report["headline"].items():
        print(format_table(task, {key: each["value"] for key, each in numbers.items()}), end="\n\n")
    for note in report["notes"]:
        print(f"note: {note}")
    print(f"report.html, report.md, report.json and {len(plots)} plots in {arguments.output}")
