"""Convert a keypoint dataset between COCO's annotation files and YOLO's pose format.

    pose-project convert-dataset --from yolo --to coco --data pets/data.yaml --output pets_coco
    pose-project convert-dataset --from coco --to yolo --train-json train.json \
        --val-json val.json --image-root photos --output pets_yolo

To COCO, train.json, val.json and test.json are written and the photos stay where they are. To YOLO,
the output is a new folder:

    data.yaml            kpt_shape, flip_idx, names, kpt_names
    images/train/...     symbolic links, or copies with --copy-photos
    labels/train/...     a text file a photo
"""

import argparse
from pathlib import Path

from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two formats, what is read and where it goes."""
    formats = ("coco", "yolo")
    parser.add_argument("--from", dest="source", required=True, choices=formats, help="format read")
    parser.add_argument("--to", dest="target", required=True, choices=formats, help="and written")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="to write into")
    parser.add_argument("--data", type=Path, metavar="FILE", help="YOLO's data.yaml")
    parser.add_argument("--train-json", metavar="FILE", help="COCO annotations for training")
    parser.add_argument("--val-json", metavar="FILE", help="COCO annotations to score on")
    parser.add_argument("--image-root", metavar="DIR", help="of the photos in the JSON files")
    parser.add_argument(
        "--val-image-root", metavar="DIR", help="only if those of --val-json lie elsewhere"
    )
    parser.add_argument(
        "--copy-photos", action="store_true", help="copies, not symbolic links, for YOLO"
    )


def run(arguments: argparse.Namespace) -> None:
    """Convert and say what was written."""
    if arguments.source == arguments.target:
        raise InputError(f"--from and --to are both {arguments.source}")
    if arguments.source == "yolo":
        to_coco(arguments)
    else:
        to_yolo(arguments)


def to_coco(arguments: argparse.Namespace) -> None:
    """Write COCO's JSON files."""
    # late, since --help is answered without PyTorch
    from pose_project.extras.converters.yolo_to_coco import yolo_to_coco

    if arguments.data is None:
        raise InputError("--from yolo needs --data data.yaml")
    for each in yolo_to_coco(arguments.data, arguments.output):
        print(
            f"{each.json_file}: {each.num_instances} instances in {each.num_photos} photos, "
            f"{each.num_unlabelled} of them without labels; image root {each.image_root}"
        )


def to_yolo(arguments: argparse.Namespace) -> None:
    """Write YOLO's folder."""
    from pose_project.extras.converters.coco_to_yolo import coco_to_yolo

    files = {"train": arguments.train_json, "val": arguments.val_json}
    if not any(files.values()) or not arguments.image_root:
        raise InputError("--from coco needs --train-json or --val-json, and --image-root")
    roots = {"train": arguments.image_root, "val": arguments.val_image_root or arguments.image_root}
    splits = {split: f"{file}@{roots[split]}" for split, file in files.items() if file}
    for each in coco_to_yolo(splits, arguments.output, arguments.copy_photos):
        print(
            f"{each.split}: {each.num_instances} instances in {each.num_photos} photos; left out: "
            f"{each.num_crowds} crowds, {each.num_outside} keypoints outside of their photo"
        )
    print(f"{arguments.output / 'data.yaml'}")
