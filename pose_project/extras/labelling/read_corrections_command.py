"""Read what a labelling tool exports of a draft, and count what a person changed.

    pose-project read-corrections EXPORT --draft DIR/predictions.json --output corrected.json

EXPORT is CVAT's "CVAT for images 1.1" (.xml, or the .zip as it comes) or COCO Keypoints 1.0
(.json), Label Studio's JSON, or YOLO's data.yaml; DIR is what pre-annotate has written.
corrected.json are annotations to train on, in COCO's format: the same people with the same ids, new
ones behind them.
A point within half a pixel was not moved and keeps the draft's place.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the export, the draft and the output."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help="file that the tool exported")
    parser.add_argument(
        "--draft",
        required=True,
        type=Path,
        metavar="FILE",
        help="predictions.json of pre-annotate",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="OUT.json")


def run(arguments: argparse.Namespace) -> None:
    """Read, write and say what was changed."""
    for path in (arguments.export, arguments.draft):
        if not path.is_file():
            raise InputError(f"no file at {path}")
        if arguments.output.exists() and arguments.output.samefile(path):
            raise InputError(f"--output {arguments.output} is an input")
    # late, since --help is answered without PyTorch
    from pose_project.extras.labelling.corrections import correct
    from pose_project.extras.labelling.drafts import read_draft
    from pose_project.extras.labelling.exports import read_export
    from pose_project.utils.files import write_text_atomic

    draft = read_draft(arguments.draft)
    photos, left = read_export(arguments.export)
    if not photos:
        raise InputError(f"{arguments.export} holds no photo that somebody has corrected")
    result = correct(draft, photos)
    write_text_atomic(arguments.output, json.dumps(result.content) + "\n")
    print(f"photos: {_counts(result.photos)}")
    print(f"people: {_counts(result.people)}")
    print(f"points of those kept: {_counts(result.points)}")
    print(f"points that were to be checked: {_counts(result.to_check)}")
    if left:
        print(f"left out: {_counts(left)}")
    print(f"wrote {arguments.output}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.items() if count) or "none"
