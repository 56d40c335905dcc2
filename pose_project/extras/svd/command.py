"""Make a model's box head faster by truncated SVD (Fast R-CNN, section 3.1).

    pose-project compress-svd --config-file F --weights W --rank 64 --output Y.pth
    pose-project compress-svd --config-file F --weights W --rank 64,16,32,128 --output Y.pth

A rank is that of each fully connected layer of the box head; 1024:256 is one for each of two.
Of several ranks the first is written, and all are measured: parameters, multiply-adds, energy kept,
time, and AP on the config's test dataset.

Writes Y.pth, Y.json (where it comes from, and the figures), Y.yaml (its config) and Y.png (the
curves). The result is a model like any other:

    pose-project train --config-file Y.yaml --eval-only
    pose-project train --config-file Y.yaml train.output_dir=output/fine_tuned
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pose_project.commands.options import (
    add_device_option,
    add_model_options,
    read_model,
)
from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the ranks and the file."""
    add_model_options(parser)
    add_device_option(parser)
    parser.add_argument("--rank", required=True, metavar="R[,R...]", help="ranks, see above")
    parser.add_argument("--output", required=True, type=Path, metavar="Y.pth", help="to write")
    parser.add_argument("--no-eval", action="store_true", help="measure no AP")


def run(arguments: argparse.Namespace) -> None:
    """Compress, measure and write."""
    # late, since --help is answered without PyTorch
    from pose_project.extras.svd.compressed_model import compress, files_of

    logging.getLogger("pose_project.evaluation").setLevel(logging.WARNING)  # a table per rank
    cfg, weights = read_model(arguments)
    files = files_of(arguments.output)
    check_output(arguments.output, files, [arguments.config_file, weights])
    compressed = compress(cfg, weights, arguments.rank, not arguments.no_eval)
    print(f"\n{compressed.survey()}")
    compressed.write(files)
    weights, record, config, curves = files
    print(f"Wrote {weights}, {record.name}, {config.name} and {curves.name}")


def check_output(output: Path, files: Sequence[Path], inputs: Sequence[str]) -> None:
    """Raise ``InputError`` for an output that cannot be written or would replace an input."""
    if output.suffix != ".pth":
        raise InputError(f"--output must be a file that ends with .pth, got {output}")
    for path in files:
        if path.is_dir() or path.resolve() in [Path(each).resolve() for each in inputs]:
            raise InputError(f"{path} would be replaced; choose another --output")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{output}: {folder} is not a folder that can be written to")
