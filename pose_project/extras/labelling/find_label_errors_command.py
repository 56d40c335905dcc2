"""List the labels that a model contradicts: the likeliest errors first.

    pose-project find-label-errors ANNOTATIONS.json --images PHOTOS --model output/mine \
        --output suspects.json
    pose-project doctor ANNOTATIONS.json --images PHOTOS --suspects suspects.json --html DIR

The second command shows them on the doctor's page, each with its picture. Found are keypoints that
lie where the model is sure they are not (suspect-point), people whose left and right fit better
exchanged (suspect-sides), and people whom nobody has labelled (suspect-missing). The model should
not have been trained on just these labels, or it has learnt their errors.
"""

import argparse
from pathlib import Path

from pose_project.commands.options import add_device_option, add_model_options, read_model
from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the labels, the model and how many are shown."""
    parser.add_argument(
        "annotations", type=Path, metavar="ANNOTATIONS.json", help="to look through"
    )
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="its photos")
    add_model_options(parser)
    add_device_option(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.json")
    parser.add_argument(
        "--count", type=int, default=150, help="suspects to write, at most (default: 150)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Search and write; print the first few."""
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    if not arguments.annotations.is_file():
        raise InputError(f"no annotations at {arguments.annotations}")
    if not arguments.images.is_dir():
        raise InputError(f"--images {arguments.images} is not a folder")
    if arguments.output.is_dir():
        raise InputError(f"--output {arguments.output} is a folder; name a file")
    # late, since --help is answered without PyTorch
    from pose_project.extras.labelling.error_search import find_label_errors, write_suspects
    from pose_project.extras.labelling.photos import load_predictor

    predictor = load_predictor(*read_model(arguments), keep_heatmaps=True)
    found, num_photos = find_label_errors(arguments.annotations, arguments.images, predictor)
    shown = found[: arguments.count]
    write_suspects(arguments.output, shown, arguments.annotations, predictor.schema)
    for each in shown[:5]:
        who = f"image {each.image_id}"
        if each.annotation_id is not None:
            who = f"annotation {each.annotation_id}"
        print(f"{each.score:.2f}  {each.code:15}  {who}: {each.why}")
    print(
        f"{len(shown)} of {len(found)} suspects in {num_photos} photos written to "
        f"{arguments.output}"
    )
