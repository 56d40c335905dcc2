"""Fetch COCO 2017, unpack it where Detectron2 looks for it, and check that it is complete.

    pose-project prepare-coco --root DIR --download
    pose-project prepare-coco --root DIR --check

Makes DIR/coco/annotations, DIR/coco/train2017 and DIR/coco/val2017; training finds them when the
environment variable DETECTRON2_DATASETS is DIR. An interrupted run goes on where it was when
started again. --check needs no network. Both print what the annotations count. Exit code 1:
something is missing or damaged.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pose_project.extras.coco_download import coco
from pose_project.utils.cli import EXIT_OK
from pose_project.utils.errors import InputError

EXIT_INCOMPLETE = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the folder, and what is to be done with which parts."""
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("DETECTRON2_DATASETS", "datasets")).expanduser(),
        metavar="DIR",
        help="the folder that holds coco/ (default: $DETECTRON2_DATASETS, else ./datasets)",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch and unpack what is not there yet, 20.4 GB in all, then check",
    )
    parser.add_argument("--check", action="store_true", help="only look at what is there")
    parser.add_argument(
        "--what",
        default="train,val,annotations",
        metavar="NAMES",
        help="parts of the dataset, separated by commas (default: train,val,annotations)",
    )
    parser.add_argument(
        "--mirror",
        default=coco.COCO_SERVER,
        metavar="URL",
        help=f"server with the folders zips/ and annotations/ (default: {coco.COCO_SERVER})",
    )
    parser.add_argument(
        "--keep-archives",
        action="store_true",
        help="keep the zip files in DIR/coco; else each is deleted once it is unpacked",
    )


def run(arguments: argparse.Namespace) -> int:
    """Fetch, check and report; return the exit code."""
    dataset = coco.COCO_2017
    what = parse_names(arguments.what, [archive.name for archive in dataset.archives])
    check_address(arguments.mirror)
    if not (arguments.download or arguments.check):
        raise InputError("nothing to do: give --download or --check")
    if arguments.download:
        archives = [archive for archive in dataset.archives if archive.name in what]
        coco.download_coco(arguments.root, archives, arguments.mirror, arguments.keep_archives)
    elif not (arguments.root / "coco").is_dir():
        raise InputError(f"no folder {arguments.root / 'coco'}: --root holds coco/")
    # late, since --help is answered without PyTorch
    from pose_project.extras.coco_download.statistics import statistics_table
    from pose_project.extras.coco_download.verify import check_coco

    statistics, faults = check_coco(arguments.root, dataset, what)
    if statistics:
        print(statistics_table(statistics))
    for fault in faults:
        print(f"incomplete: {fault}")
    if faults:
        return EXIT_INCOMPLETE
    root = arguments.root.resolve()
    print(f"{', '.join(what)}: complete. Training reads DETECTRON2_DATASETS={root}")
    return EXIT_OK


def parse_names(text: str, known: Sequence[str]) -> list[str]:
    """Return the names of archives in a comma-separated list."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise InputError(f"--what: no part {name!r}; there are {', '.join(known)}")
    return [name for name in known if name in names]


def check_address(url: str) -> None:
    """Raise ``InputError`` unless a mirror's address can be one."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise InputError(f"--mirror: {url!r} is not an http or https address")
