"""Write a COCO dataset as tar shards, for training and prediction on many machines.

    pose-project shard train.json --images PHOTOS --output SHARDS
    pose-project shard train.json --images PHOTOS --output SHARDS --megabytes 1024

SHARDS/photos-000000.tar ...   photos with their annotations, in WebDataset's layout
SHARDS/shards.json             sizes and checksums
SHARDS/shards.npz              where each photo is
SHARDS/annotations.json        a copy of the annotations

Started again after an interruption, the command goes on from the last whole shard. Train with
custom.train_json=SHARDS/annotations.json custom.image_root=SHARDS; both may be addresses, such as
s3://bucket/train. --check reads existing shards and compares their checksums.

Exit codes: 0 done; 2 wrong input, a shard that is missing or torn included.
"""

import argparse
from pathlib import Path

from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, the folder and the size of shards."""
    parser.add_argument(
        "annotations", type=Path, nargs="?", metavar="ANNOTATIONS.json", help="in COCO's format"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="file_name is relative to it")
    parser.add_argument("--output", type=Path, metavar="DIR", help="a folder for the shards")
    parser.add_argument(
        "--megabytes", type=int, default=256, help="of a shard, about (default: 256)"
    )
    parser.add_argument("--check", type=Path, metavar="DIR", help="read shards and compare them")


def run(arguments: argparse.Namespace) -> None:
    """Write shards, or check them."""
    from pose_project.extras.shards.writing import check_shards, write_shards

    given = [arguments.annotations, arguments.images, arguments.output]
    if arguments.check:
        if any(given):
            raise InputError("--check stands alone: shards are either written or checked")
        if not arguments.check.is_dir():
            raise InputError(f"no folder at {arguments.check}")
        check_shards(arguments.check)
        return
    if not all(given):
        raise InputError("give ANNOTATIONS.json, --images and --output; or --check")
    if arguments.megabytes < 1:
        raise InputError(f"--megabytes must be at least 1, got {arguments.megabytes}")
    write_shards(
        arguments.annotations, arguments.images, arguments.output, arguments.megabytes * 10**6
    )
