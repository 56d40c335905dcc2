"""Measure this project's parts, alone or against a peer in the same run.

    python tools/benchmark.py --task decode [--peer detectron2|torchvision] [--device cpu|cuda]
    python tools/benchmark.py --task eval [--json docs/benchmarks/eval_cpu.json]
    python tools/benchmark.py --task data [--peer detectron2]
    python tools/benchmark.py --report docs/benchmarks.md

decode: heatmaps of 1 to 100 people to keypoints, trained-like and noise; peers detectron2 and
torchvision.
eval: boxes and keypoints of 625 to 5,000 photos, from predictions to numbers; peer detectron2, by
pycocotools and, where it was built with its operators, its compiled evaluator.
data: photos through mapper and loader, with the augmentations of the 42-epoch recipe; peer
detectron2. Also annotations of COCO train2017's size (64,115 photos, 262,465 people) through
registration, filter and sampler, on their own.

Prints time, ratio, memory, and how far the outputs are apart. If that is more than the stated
bound, the exit code is 1 and no JSON is written.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from detectron2.utils.logger import setup_logger

from pose_project.benchmark import (
    Comparison,
    measure_dataset,
    measure_decoding,
    measure_evaluation,
    measure_loading,
    write_coco_sized_json,
    write_report,
)
from pose_project.benchmark.coco_size import NUM_PEOPLE, NUM_PHOTOS
from pose_project.utils.cli import EXIT_OK, run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance, device_name

TOTAL_BATCH_SIZE, NUM_BATCHES = 8, 90_000
EXIT_OUTPUTS_DIFFER = 1


@dataclass(frozen=True)
class PeerTask:
    """A task that is measured against peers."""

    measure: Callable[[str, torch.device], Iterator[Comparison]]
    peers: tuple[str, ...]
    dtype: str


PEER_TASKS = {
    "decode": PeerTask(measure_decoding, ("detectron2", "torchvision"), "float32"),
    "eval": PeerTask(measure_evaluation, ("detectron2",), "float32"),
    "data": PeerTask(measure_loading, ("detectron2",), "uint8"),
}


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=list(PEER_TASKS), help="what to measure")
    parser.add_argument(
        "--peer",
        choices=["detectron2", "torchvision"],
        default="detectron2",
        help="what to compare with (default: detectron2)",
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cpu", help="where to run (default: cpu)"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the result here")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="PAGE.md",
        help="write this page and its plots from all JSON files in the folder PAGE",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if not arguments.task and not arguments.report:
        raise InputError("nothing to do: give --task or --report")
    if arguments.task:
        check(arguments)
        # first, since memory's peak is that of the process
        dataset = run_data() if arguments.task == "data" else None
        record = run_against_peer(arguments)
        if record and dataset:
            record["dataset"] = dataset
        if record is None:
            print("The outputs differ by more than the bound; nothing is kept.", file=sys.stderr)
            return EXIT_OUTPUTS_DIFFER
        if arguments.json:
            write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")
    if arguments.report:
        count = write_report(arguments.report)
        print(f"{arguments.report}: from {count} files")
    return EXIT_OK


def check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be measured, before anything is."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda, but this machine has no CUDA device")
    task = PEER_TASKS.get(arguments.task)
    if task and arguments.peer not in task.peers:
        raise InputError(
            f"{arguments.peer} has no peer for --task {arguments.task}; choose of {task.peers}"
        )
    for path in (arguments.json, arguments.report):
        if path and path.is_dir():
            raise InputError(f"{path} is a folder")


def run_against_peer(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Print each comparison as it is made; return the record of all, None if outputs differ."""
    task = PEER_TASKS[arguments.task]
    comparisons = []
    for comparison in task.measure(arguments.peer, torch.device(arguments.device)):
        print(comparison.line(), flush=True)
        comparisons.append(comparison)
    if not all(each.is_same for each in comparisons):
        return None
    return {
        "task": arguments.task,
        "peer": arguments.peer,
        "dtype": task.dtype,
        **provenance(arguments.device),
        "comparisons": [each.record() for each in comparisons],
    }


def run_data() -> dict[str, Any]:
    """Print and return what a dataset of COCO's size takes."""
    with tempfile.TemporaryDirectory() as folder:
        json_file = Path(folder) / "coco_sized.json"
        write_coco_sized_json(json_file, NUM_PHOTOS, NUM_PEOPLE)
        size_mb = json_file.stat().st_size / 1e6
        result = measure_dataset(json_file, TOTAL_BATCH_SIZE, NUM_BATCHES)
    sizes = {"photos": NUM_PHOTOS, "people": NUM_PEOPLE, "json_mb": round(size_mb)}
    record = {**sizes, "total_batch_size": TOTAL_BATCH_SIZE, **result}
    for name, value in record.items():
        print(f"{name:28} {value}")
    return record


def provenance(device: str) -> dict[str, Any]:
    """Return where a result comes from."""
    return {**collect_provenance(), "device": device_name(torch.device(device))}


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
