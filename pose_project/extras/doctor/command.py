"""Check a keypoint dataset in COCO's format, and write a corrected copy.

    pose-project doctor ANNOTATIONS.json --images DIR
    pose-project doctor ANNOTATIONS.json --fix CORRECTED.json
    pose-project doctor ANNOTATIONS.json --schema coco
    pose-project doctor TRAIN.json --images DIR --against VAL.json --against-images DIR
    pose-project doctor ANNOTATIONS.json --images DIR --html output/doctor --suspects S.json

Says for each kind of problem how many have it, the first few, why it matters and what to do.
Without --images no photo is opened. ANNOTATIONS.json is only read.

Exit codes: 0 nothing wrong; 1 warnings; 2 errors, or wrong input. With --fix it is that of the
file as it was.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pose_project.utils.errors import InputError

if TYPE_CHECKING:
    from pose_project.extras.doctor.examination import Examination


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, what it is compared with, and what is written."""
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS.json", help="to check")
    parser.add_argument("--images", type=Path, metavar="DIR", help="its photos; opens them all")
    parser.add_argument(
        "--against", type=Path, metavar="VAL.json", help="find photos that are in both datasets"
    )
    parser.add_argument("--against-images", type=Path, metavar="DIR", help="photos of --against")
    parser.add_argument(
        "--schema",
        metavar="SCHEMA",
        help="what the keypoints are: a name such as coco, coco_wholebody or hand21, or another "
        "COCO JSON; compared, and taken where the file lists none",
    )
    parser.add_argument("--fix", type=Path, metavar="OUT.json", help="write a corrected copy")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--html", type=Path, metavar="DIR", help="write the report as a page")
    parser.add_argument(
        "--suspects", type=Path, metavar="S.json", help="of find-label-errors, shown on the page"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check, tell, and correct; return the exit code."""
    check_arguments(arguments)
    # late, since --help is answered without PyTorch
    from pose_project.extras.doctor.check_expected import read_schemas
    from pose_project.extras.doctor.examination import examine

    against = (arguments.against, arguments.against_images) if arguments.against else None
    schemas = read_schemas(arguments.schema) if arguments.schema else {}
    examination = examine(arguments.annotations, arguments.images, against, schemas)
    report = examination.report
    print(json.dumps(report.as_dict(), indent=2) if arguments.json else report.text())
    if arguments.html:
        write_html(arguments.html, examination, arguments.images, arguments.suspects)
    if arguments.fix:
        fix(arguments.fix, examination)
    return report.exit_code


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ``InputError`` for what can be seen to be wrong before anything is read."""
    inputs = [arguments.annotations, *([arguments.against] if arguments.against else [])]
    for path in inputs:
        if not path.is_file():
            raise InputError(f"no annotations at {path}: it is {_what(path)}")
    from pose_project.data.category_schemas import known_schemas  # late, for a quick --help

    if arguments.schema is not None and arguments.schema not in known_schemas():
        schema = Path(arguments.schema)
        inputs.append(schema)
        if not schema.is_file():
            raise InputError(
                f"--schema {schema} is {_what(schema)}; give a JSON file with categories or one of "
                + ", ".join(known_schemas())
            )
    for option, folder in (
        ("--images", arguments.images),
        ("--against-images", arguments.against_images),
    ):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{option} {folder} is {_what(folder)}, not a folder")
    if arguments.against and not (arguments.images and arguments.against_images):
        raise InputError("--against compares photos: give --images and --against-images as well")
    if arguments.against_images and not arguments.against:
        raise InputError("--against-images is the folder of --against, which is not given")
    if arguments.fix:
        from pose_project.extras.doctor.fixing import check_output

        check_output(arguments.fix, inputs)
    if arguments.suspects and not (arguments.html and arguments.images):
        raise InputError("--suspects are shown on the page: give --html and --images as well")
    if arguments.suspects and not arguments.suspects.is_file():
        raise InputError(f"--suspects {arguments.suspects} is {_what(arguments.suspects)}")
    if arguments.html and arguments.html.exists() and not arguments.html.is_dir():
        raise InputError(f"--html {arguments.html} is a file; name a folder")


def _what(path: Path) -> str:
    if not path.exists():
        return "not there"
    return "a folder" if path.is_dir() else "a file"


def write_html(
    folder: Path,
    examination: "Examination",
    image_root: Path | None,
    suspects: Path | None = None,
) -> None:
    """Write the page, with a few photos that show the findings where they are at hand."""
    # neither drawing nor Jinja is needed without --html
    from pose_project.extras.doctor.examples import draw_examples
    from pose_project.extras.doctor.page import write_page
    from pose_project.extras.doctor.suspects import read_suspects

    shown = read_suspects(suspects, examination, image_root) if suspects else []
    examples = draw_examples(examination, image_root)
    page = write_page(folder, examination.report, examples, shown)
    print(f"Wrote {page}", file=sys.stderr)


def fix(output: Path, examination: "Examination") -> None:
    """Write the corrected copy and say what was done; the report may be on the standard output."""
    from pose_project.extras.doctor.fixing import write_corrected

    if examination.dataset is None:
        raise InputError(f"--fix: nothing can be corrected in {examination.report.path}")
    corrections, left = write_corrected(output, examination.dataset, examination.photos)
    lines = [f"{done} ({count:,})" for done, count in sorted(corrections.items())]
    print(f"\nWrote {output}", *(lines or ["nothing to correct"]), sep="\n  ", file=sys.stderr)
    print(f"Left, without looking at photos: {left.line()}", file=sys.stderr)
