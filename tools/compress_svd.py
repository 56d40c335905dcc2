"""Make a model's box head faster by truncated SVD (Fast R-CNN, section 3.1).

    python tools/compress_svd.py --config-file F --weights W --rank 64 --output Y.pth
    python tools/compress_svd.py --config-file F --weights W --rank 64,16,32,128 --output Y.pth

A rank is that of each fully connected layer of the box head; 1024:256 is one for each of two.
Of several ranks the first is written, and all are measured: parameters, multiply-adds, energy kept,
time, and AP on the config's test dataset.

Writes Y.pth, Y.json (where it comes from, and the figures), Y.yaml (its config) and Y.png (the
curves). The result is a model like any other:

    python tools/train_net.py --config-file Y.yaml --eval-only
    python tools/train_net.py --config-file Y.yaml train.output_dir=output/fine_tuned
"""

import argparse
import copy
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from detectron2.config import LazyConfig
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig
from torch import nn

from pose_project.checkpoint import PoseCheckpointer
from pose_project.config.building import plain_config
from pose_project.engine import load_config
from pose_project.engine.checks import check_evaluation
from pose_project.extras.svd.compression import build_low_rank_head, full_box_head, low_rank_config
from pose_project.extras.svd.rank_curves import plot_rank_curves
from pose_project.extras.svd.rank_survey import (
    REPEATS,
    HeadFigures,
    format_survey,
    survey_panels,
    survey_ranks,
)
from pose_project.modeling.build import build_model, resolve_device
from pose_project.modeling.svd import LinearSVD, check_rank
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path
from pose_project.utils.provenance import device_name


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--weights", required=True, metavar="FILE", help="its checkpoint")
    parser.add_argument("--rank", required=True, metavar="R[,R...]", help="ranks, see above")
    parser.add_argument("--output", required=True, type=Path, metavar="Y.pth", help="to write")
    parser.add_argument("--no-eval", action="store_true", help="measure no AP")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument("opts", nargs="*", metavar="key=value", help="overrides of the config")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Compress, measure and write."""
    cfg = load_config(arguments.config_file, arguments.opts)
    check_output(arguments.output, [arguments.config_file, arguments.weights])
    measured = copy.deepcopy(cfg)
    measured.train.device = resolve_device(cfg.train.device)
    if "output_dir" in measured.dataloader.evaluator:
        measured.dataloader.evaluator.output_dir = None  # nothing is written but --output
    model = build_model(measured).eval()
    full = full_box_head(model)
    choices = parse_ranks(arguments.rank, full.fcs)
    if not arguments.no_eval:
        check_evaluation(measured, model)
    PoseCheckpointer(model).load(arguments.weights, checkpointables=[], complete=True)

    decomposed = [LinearSVD.of(layer) for layer in full.fcs]
    low_rank = {
        ranks: build_low_rank_head(low_rank_config(measured, ranks), full, decomposed)
        for ranks in choices
    }
    figures = survey_ranks(measured, model, decomposed, low_rank, not arguments.no_eval)
    print(f"\n{format_survey(figures)}\n\n{device_name()}; median of {REPEATS}, measured in turn")
    model.roi_heads.box_head = low_rank[choices[0]]
    write(arguments, low_rank_config(cfg, choices[0]), model, figures)


def check_output(output: Path, inputs: Sequence[str]) -> None:
    """Raise ``InputError`` for an output that cannot be written or would replace an input."""
    if output.suffix != ".pth":
        raise InputError(f"--output must be a file that ends with .pth, got {output}")
    for path in outputs(output):
        if path.is_dir() or path.resolve() in [Path(each).resolve() for each in inputs]:
            raise InputError(f"{path} would be replaced; choose another --output")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{output} cannot be written: {folder} is no folder that can be written")


def outputs(output: Path) -> list[Path]:
    """Return the weights and what is written beside them: JSON, config and curves."""
    return [output.with_suffix(suffix) for suffix in (".pth", ".json", ".yaml", ".png")]


def parse_ranks(text: str, layers: Sequence[nn.Linear]) -> list[tuple[int, ...]]:
    """Return for each of the ranks, separated by commas, that of each layer.

    Raises:
        InputError: if one is no number, is out of range, or does not name one for each layer.
    """
    choices = []
    for part in text.split(","):
        try:
            ranks = tuple(int(number) for number in part.split(":"))
        except ValueError:
            raise InputError(f"--rank {text}: {part!r} is no rank; write 64 or 64,32") from None
        if len(ranks) == 1:
            ranks *= len(layers)
        if len(ranks) != len(layers):
            raise InputError(
                f"--rank {text}: {part} is {len(ranks)} ranks, but the box head has "
                f"{len(layers)} fully connected layer{'s' * (len(layers) > 1)}"
            )
        for rank, layer in zip(ranks, layers, strict=True):
            check_rank(rank, layer.in_features, layer.out_features)
        choices.append(ranks)
    return list(dict.fromkeys(choices))


def write(
    arguments: argparse.Namespace, cfg: DictConfig, model: nn.Module, figures: list[HeadFigures]
) -> None:
    """Write the weights, their provenance, their config and the curves, each whole or not."""
    weights, record, config, curves = outputs(arguments.output)
    cfg.train.init_checkpoint = str(weights)
    PoseCheckpointer(model, str(weights.parent)).save(
        weights.stem,
        tag_as_last=False,
        provenance={
            "compressed_from": arguments.weights,
            "figures": [asdict(each) for each in figures],
            "config": plain_config(cfg),
        },
    )
    with atomic_path(config) as temporary:
        LazyConfig.save(cfg, str(temporary))
    plot_rank_curves(*survey_panels(figures), curves)
    print(f"Wrote {weights}, {record.name}, {config.name} and {curves.name}")


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    logging.getLogger("pose_project.evaluation").setLevel(logging.WARNING)  # a table per rank
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
