"""Draw what a model finds in photos for a labelling tool, so that a person only corrects it.

    pose-project pre-annotate --model output/mine --input PHOTOS --format cvat --output DIR

DIR/predictions.json    always: the people in COCO's format, with the probability of each keypoint
                        (keypoint_scores) and the names of those to check (to_check); CVAT imports
                        it as COCO Keypoints 1.0, and read-corrections compares with it
--format cvat           annotations.xml, imported as CVAT 1.1, and labels.json: the label to make
                        first, in the label constructor's tab Raw
--format label-studio   tasks.json with predictions, and label_config.xml: the labelling interface
--format yolo           dataset/ with data.yaml, images and labels
--format coco           nothing else

Keypoints whose probability is below --check-below are marked: in CVAT by the attribute "check" of
the point, and "to_check" of the person counts them; in Label Studio by a note. --input takes
chosen.txt of the command rank as well.
"""

import argparse
from pathlib import Path

from pose_project.commands.options import add_device_option, add_model_options, read_model
from pose_project.utils.errors import InputError

FORMATS = ("coco", "cvat", "label-studio", "yolo")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the photos, and what is written."""
    add_model_options(parser)
    add_device_option(parser)
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="PATH",
        help="photos, folders, patterns in quotes, or a .txt file with a path a line",
    )
    parser.add_argument("--format", required=True, choices=FORMATS, help="of which tool")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--score-threshold", type=float, default=0.5, help="of people drawn, 0 to 1 (default: 0.5)"
    )
    parser.add_argument(
        "--check-below",
        type=float,
        default=0.5,
        help="keypoints of a lower probability are to be checked, 0 to 1 (default: 0.5)",
    )
    parser.add_argument(
        "--url-prefix",
        default="/data/local-files/?d=",
        help="of Label Studio: what stands before a photo's name (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Predict and write."""
    for name in ("score_threshold", "check_below"):
        if not 0 <= getattr(arguments, name) <= 1:
            option = name.replace("_", "-")
            raise InputError(f"--{option} must be in 0 to 1, got {getattr(arguments, name)}")
    if (arguments.output / "predictions.json").exists():
        raise InputError(
            f"{arguments.output}/predictions.json is there: corrections are compared with it; "
            "choose another --output"
        )
    # late, since --help is answered without PyTorch
    from pose_project.extras.labelling.drafts import draft_photos, write_draft
    from pose_project.extras.labelling.photos import find_photos, listed_photos, load_predictor

    sources = find_photos(listed_photos(arguments.input), arguments.output)
    predictor = load_predictor(*read_model(arguments))
    thresholds = arguments.score_threshold, arguments.check_below
    draft = draft_photos(predictor, sources, *thresholds)
    files = write_draft(draft, arguments.format, arguments.output, sources, arguments.url_prefix)
    people = draft["annotations"]
    points = sum(len(each["keypoint_scores"]) for each in people)
    checks = sum(len(each["to_check"]) for each in people)
    print(
        f"{len(people)} people in {len(draft['images'])} photos; {checks} of {points} keypoints to "
        "check"
    )
    for file in files:
        print(file)
