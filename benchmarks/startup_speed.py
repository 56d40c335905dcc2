"""From the command to the first iteration, against Detectron2's own trainer."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from detectron2.data import MetadataCatalog

from benchmarks.compare import Comparison, compare
from pose_project.data import resolve_dataset
from pose_project.utils.errors import InputError

_DATASET = "synthetic_demo_train_12"  # so few that reading it takes no time
_CHILD = Path(__file__).with_name("startup_child.py")
_SECONDS = 120.0  # whole processes vary much: 15 pairs or so


def measure_startup(peer: str, device: torch.device) -> Iterator[Comparison]:
    """Yield one comparison: whole processes that end where the model gets its first batch.

    Imports, config, model, optimizer, loader and the first batch are in it, and our checks; a
    dataset of twelve photos and no weights, so that neither's reading is.

    Args:
        peer: ``detectron2``.
        device: must be a CPU.
    """
    assert peer == "detectron2"
    if device.type != "cpu":
        raise InputError("--task startup is measured with --device cpu")
    resolve_dataset(_DATASET)
    metadata = MetadataCatalog.get(_DATASET)
    files = [metadata.json_file, metadata.image_root]
    comparison = compare(
        "start of R50-FPN training",
        "detectron2's DefaultTrainer",
        {"photos": 12},
        partial(_start, "ours", *files),
        partial(_start, "detectron2", *files),
        lambda ours, theirs: [],
        device,
        seconds=_SECONDS,
    )
    yield replace(comparison, ours_mb=None, theirs_mb=None)  # of another process


def _start(side: str, json_file: str, image_root: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(_CHILD), side, json_file, image_root, f"{folder}/run"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{side} did not start: {ended.stderr[-500:]}")
