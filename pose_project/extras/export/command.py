"""Write a trained model as one file for programs without Detectron2.

    pose-project export --format onnx --output DIR [--model NAME]
    pose-project export --config-file F --weights W --format torchscript --output DIR
    pose-project export --config-file F --weights W --format onnx --output DIR --compare PHOTOS

Writes DIR/model.onnx or DIR/model.ts, and DIR/model.json, which says what goes in and comes out;
labels.txt, model_card.md and, with ONNX, config.pbtxt for NVIDIA's Triton.
The input is one photo, (H, W, 3) uint8 BGR of any size; resizing is part of the file. The outputs
are boxes, scores, classes and keypoints of any number of people, in the photo's coordinates.

Before a file appears it is run, on a synthetic photo and on one without people, and compared with
PyTorch. --compare does so with your photos as well, and measures how fast both are.

Exit codes: 0 done; 1 the file is not the model in PyTorch, and is not kept; 2 wrong input.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from pose_project.commands.options import add_model_options, read_model
from pose_project.extras.export.formats import FILES
from pose_project.utils.cli import EXIT_OK
from pose_project.utils.errors import InputError

EXIT_DISAGREES = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the format and the folder."""
    add_model_options(parser)
    parser.add_argument("--format", required=True, choices=list(FILES), help="of the file")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="to write into")
    parser.add_argument("--compare", type=Path, metavar="PHOTOS", help="folder of JPEG or PNG")


def run(arguments: argparse.Namespace) -> int:
    """Export, verify and write."""
    check_arguments(arguments)
    photos = find_photos(arguments.compare) if arguments.compare else []
    # late, since --help is answered without PyTorch
    from pose_project.extras.export.agreement import DisagreementError
    from pose_project.extras.export.verified import compare, export_verified

    cfg, weights = read_model(arguments, "train.device=cpu", "train.channels_last=False")
    try:
        reference, exported = export_verified(
            cfg, Path(weights), arguments.format, arguments.output
        )
    except DisagreementError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_DISAGREES
    if photos:
        compare(reference, exported, photos)
    return EXIT_OK


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ``InputError`` for what would otherwise fail after the work is done."""
    folder = arguments.output
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output must be a folder, but {folder} is a file")
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written: {existing} cannot be written into")
    others = set(FILES.values()) - {FILES[arguments.format]}
    present = [name for name in others if (folder / name).exists()]
    if present and (folder / "model.json").exists():
        raise InputError(
            f"{folder} holds {present[0]}, which its model.json describes; choose another --output"
        )
    missing = [
        name
        for name in ("onnx", "onnxruntime")
        if arguments.format == "onnx" and importlib.util.find_spec(name) is None
    ]
    if missing:
        raise InputError(f"--format onnx needs {' and '.join(missing)}: pip install -e '.[export]'")


def find_photos(folder: Path) -> list[Path]:
    """Return the JPEG and PNG files of a folder."""
    photos = sorted(
        path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not photos:
        raise InputError(f"--compare: no JPEG or PNG photos in {folder}")
    return photos
