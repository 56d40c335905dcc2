"""Write a trained model as one file for programs without Detectron2.

    python tools/export.py --config-file F --weights W --format onnx --output DIR
    python tools/export.py --config-file F --weights W --format torchscript --output DIR
    python tools/export.py --config-file F --weights W --format onnx --output DIR --compare PHOTOS

Writes DIR/model.onnx or DIR/model.ts, and DIR/model.json, which says what goes in and comes out.
The input is one photo, (H, W, 3) uint8 BGR of any size; resizing is part of the file. The outputs
are boxes, scores, classes and keypoints of any number of people, in the photo's coordinates.

Before a file appears it is run, on a synthetic photo and on one without people, and compared with
PyTorch. --compare does so with your photos as well, and measures how fast both are.

Exit codes: 0 done; 1 the file is not the model in PyTorch, and is not kept; 2 wrong input.
"""

import argparse
import importlib.util
import json
import logging
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2.config import instantiate
from detectron2.utils.logger import setup_logger

from pose_project.engine import load_config
from pose_project.extras.export import (
    FILES,
    Agreement,
    DisagreementError,
    OnnxModel,
    PoseGraph,
    ReferenceModel,
    ResizeRule,
    TorchScriptModel,
    check_exportable,
    describe,
    export_model,
)
from pose_project.extras.synthetic.generation import synthetic_photo
from pose_project.inference.model import load_categories, load_model
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, write_text_atomic
from pose_project.utils.provenance import device_name, sha256_of

logger = logging.getLogger("pose_project")
EXIT_DISAGREES = 1


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--weights", required=True, type=Path, metavar="FILE", help="checkpoint")
    parser.add_argument("--format", required=True, choices=list(FILES), help="of the file")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="to write into")
    parser.add_argument("--compare", type=Path, metavar="PHOTOS", help="folder of JPEG or PNG")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Export, verify and write."""
    model_file = arguments.output / FILES[arguments.format]
    record_file = arguments.output / "model.json"
    check_arguments(arguments, record_file)
    photos = find_photos(arguments.compare) if arguments.compare else []

    overrides = ["train.device=cpu", "train.channels_last=False"]
    cfg = load_config(arguments.config_file, [*arguments.opts, *overrides])
    augmentations = instantiate(cfg.dataloader.test.mapper.augmentations)
    rule = ResizeRule.of(augmentations)
    if any(cfg.train.inference.get("test_time", {}).values()):
        raise InputError("train.inference.test_time cannot be exported; leave them out")
    categories = load_categories(cfg, str(arguments.weights))
    model, schema = load_model(cfg, str(arguments.weights), categories)
    check_exportable(model)
    graph = PoseGraph(model, rule).eval()
    reference = ReferenceModel(model, augmentations)

    person, _ = synthetic_photo("demo", "val", 0)
    nobody = np.zeros((240, 320, 3), np.uint8)
    with atomic_path(model_file) as temporary:
        export_model(graph, arguments.format, person, temporary)
        exported = open_model(arguments.format, temporary)
        agreement = Agreement()
        for photo in (person, nobody):
            agreement.add(reference(photo), exported(photo))
        agreement.check()
        digest = sha256_of(temporary)
    if not agreement.people:
        logger.warning("The model finds nobody in the synthetic photo; verify with --compare.")
    verified = agreement.summary()
    record = describe(cfg, categories, schema, graph, arguments.weights, arguments.format, verified)
    write_text_atomic(record_file, json.dumps({"sha256": digest, **record}, indent=2) + "\n")
    print(f"Wrote {model_file} ({model_file.stat().st_size / 1e6:.1f} MB) and {record_file.name}")
    if photos:
        compare(reference, open_model(arguments.format, model_file), photos)
    return 0


def check_arguments(arguments: argparse.Namespace, record_file: Path) -> None:
    """Raise ``InputError`` for what would otherwise fail after the work is done."""
    if not arguments.weights.is_file():
        raise InputError(f"no weights at {arguments.weights}")
    folder = arguments.output
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output must be a folder, but {folder} is a file")
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written: {existing} cannot be written into")
    others = set(FILES.values()) - {FILES[arguments.format]}
    present = [name for name in others if (folder / name).exists()]
    if present and record_file.exists():
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


def open_model(file_format: str, path: Path) -> OnnxModel | TorchScriptModel:
    """Return what runs a file, with as many threads as torch computes with."""
    if file_format == "torchscript":
        return TorchScriptModel(path)
    return OnnxModel(path, torch.get_num_threads())


def compare(
    reference: ReferenceModel, exported: OnnxModel | TorchScriptModel, photos: list[Path]
) -> None:
    """Print how far both models agree on photos, and how long each takes, in turns.

    Raises:
        InputError: if a photo cannot be read.
    """
    agreement, seconds = Agreement(), []
    for number, path in enumerate(photos):
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photo is None:
            raise InputError(f"{path} cannot be read")
        models = [reference, exported]
        found, taken = [None, None], [0.0, 0.0]
        for which in (0, 1, 1, 0) if number % 2 else (1, 0, 0, 1):
            start = time.perf_counter()
            found[which] = models[which](photo)
            # the faster of two: the first meets shapes that it has not seen before
            elapsed = time.perf_counter() - start
            taken[which] = min(taken[which] or elapsed, elapsed)
        agreement.add(*found)
        seconds.append(taken)
    for name, value in agreement.summary().items():
        print(f"{name.replace('_', ' '):30} {value:.4g}")
    eager, other = np.array(seconds).T
    print(f"{'PyTorch, ms a photo':30} {1e3 * np.median(eager):.4g}")
    print(f"{'exported, ms a photo':30} {1e3 * np.median(other):.4g}")
    print(f"{'exported, times as fast':30} {np.median(eager / other):.2f}")
    print(f"{device_name()}; medians; each photo in turns, resizing included")


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")

    def export() -> int:
        try:
            return run(arguments)
        except DisagreementError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_DISAGREES

    return run_tool(export, arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
