"""What ``tools/benchmark.py`` does once its options are read."""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from tabulate import tabulate

from benchmarks import (
    Comparison,
    measure_accuracy,
    measure_dataset,
    measure_decoding,
    measure_evaluation,
    measure_inference,
    measure_loading,
    measure_runtimes,
    measure_shards,
    measure_startup,
    measure_test_time,
    measure_tracking,
    measure_training,
    write_coco_sized_json,
    write_report,
)
from benchmarks.coco_size import NUM_PEOPLE, NUM_PHOTOS
from pose_project.engine import load_config
from pose_project.inference import PosePredictor
from pose_project.utils.cli import EXIT_OK
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance, device_name

TOTAL_BATCH_SIZE, NUM_BATCHES = 8, 90_000
NUM_TINY_PHOTOS = 1_000_000
TRACKED_SEEDS, RENDERED_FRAMES = range(20), 500
EXIT_OUTPUTS_DIFFER = 1


@dataclass(frozen=True)
class PeerTask:
    """A task that is measured against peers."""

    measure: Callable[[str, torch.device], Iterator[Comparison]]
    peers: tuple[str, ...]
    dtype: str


PEER_TASKS = {
    "decode": PeerTask(measure_decoding, ("detectron2", "torchvision"), "float32"),
    "inference": PeerTask(measure_inference, ("detectron2", "torchvision"), "as named"),
    "train": PeerTask(measure_training, ("detectron2",), "as named"),
    "eval": PeerTask(measure_evaluation, ("detectron2",), "float32"),
    "data": PeerTask(measure_loading, ("detectron2",), "uint8"),
    "startup": PeerTask(measure_startup, ("detectron2",), "float32"),
}
TASKS_OF_WEIGHTS = ("accuracy", "test_time", "runtimes")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if not arguments.task and not arguments.report:
        raise InputError("nothing to do: give --task or --report")
    if arguments.task:
        check(arguments)
        if arguments.task == "test_time":
            run_test_time(arguments)
        elif arguments.task == "runtimes":
            run_runtimes(arguments)
        elif arguments.task == "shards":
            run_shards(arguments)
        elif arguments.task == "all":
            if not measure_all(arguments):
                return EXIT_OUTPUTS_DIFFER
        elif arguments.task == "tracking":
            run_tracking(arguments)
        elif not measure(arguments, arguments.task, arguments.peer, arguments.json):
            return EXIT_OUTPUTS_DIFFER
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
    if arguments.task in TASKS_OF_WEIGHTS and not arguments.weights:
        raise InputError(
            f"--task {arguments.task} needs --weights; make demo trains output/demo/model_final.pth"
        )
    if arguments.task == "all" and arguments.json and arguments.json.is_file():
        raise InputError(
            f"{arguments.json} is a file; --task all writes a file for each into a folder"
        )
    folders = [arguments.report, arguments.json if arguments.task != "all" else None]
    for path in folders:
        if path and path.is_dir():
            raise InputError(f"{path} is a folder")


def measure_all(arguments: argparse.Namespace) -> bool:
    """Measure every task against each of its peers; return whether all outputs agree."""
    pairs = [(task, peer) for task, each in PEER_TASKS.items() for peer in each.peers]
    if arguments.device != "cpu":  # the other two have nothing to do with a GPU
        pairs = [(task, peer) for task, peer in pairs if task not in ("data", "startup")]
    if arguments.weights:
        pairs.append(("accuracy", "detectron2"))
    are_same = True
    for task, peer in pairs:
        print(f"--- {task} against {peer}", flush=True)
        name = f"{task}_{peer}_{arguments.device}.json"
        are_same &= measure(arguments, task, peer, arguments.json and arguments.json / name)
    return are_same


def measure(arguments: argparse.Namespace, task: str, peer: str, output: Path | None) -> bool:
    """Print a task's figures and write them; return whether the outputs agree."""
    # first, since memory's peak is that of the process
    dataset = {"dataset": run_data()} if task == "data" else {}
    comparisons = []
    for comparison in comparisons_of(arguments, task, peer):
        print(comparison.line(), flush=True)
        comparisons.append(comparison)
    if not all(each.is_same for each in comparisons):
        print("The outputs differ by more than the bound; nothing is kept.", file=sys.stderr)
        return False
    if output:
        record = {
            "task": task,
            "peer": peer,
            "dtype": PEER_TASKS[task].dtype if task in PEER_TASKS else "as named",
            **provenance(arguments.device),
            "comparisons": [each.record() for each in comparisons],
            **dataset,
        }
        write_text_atomic(output, json.dumps(record, indent=2) + "\n")
    return True


def comparisons_of(arguments: argparse.Namespace, task: str, peer: str) -> Iterator[Comparison]:
    """Return the measurements of a task, which are made as they are asked for."""
    device = torch.device(arguments.device)
    if task in PEER_TASKS:
        return PEER_TASKS[task].measure(peer, device)
    return measure_accuracy(config_of(arguments), device)


def config_of(arguments: argparse.Namespace) -> DictConfig:
    """Return the config with the weights, device and photos of the command line."""
    overrides = [
        f"train.init_checkpoint={arguments.weights}",
        f"train.device={arguments.device}",
        f"dataloader.test.dataset.names={arguments.photos}",
    ]
    return load_config(arguments.config_file, overrides)


def run_test_time(arguments: argparse.Namespace) -> None:
    """Print and write what each switch gains and costs."""
    logging.getLogger("pose_project.evaluation").setLevel(logging.WARNING)  # a table per switch
    rows = list(measure_test_time(config_of(arguments), torch.device(arguments.device)))
    head = ("switches of train.inference.test_time", "keypoint AP", "AR", "box AP", "ms per photo")
    print(tabulate(rows, head, tablefmt="github", floatfmt=".1f"))
    if arguments.json:
        record = {
            "task": "test_time",
            "photos": arguments.photos,
            **provenance(arguments.device),
            "rows": [each._asdict() for each in rows],
        }
        write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


def run_runtimes(arguments: argparse.Namespace) -> None:
    """Print and write what each runtime makes of an exported model."""
    if arguments.device != "cpu":
        raise InputError("--task runtimes is measured on the CPU, where exported files run")
    logging.getLogger("pose_project.evaluation").setLevel(logging.WARNING)  # a table per runtime
    cfg = config_of(arguments)
    cfg.train.channels_last = False  # as the command export has it
    rows = list(measure_runtimes(cfg, arguments.weights))
    head = (
        *("runtime", "people only one found", "points within 0.5 px, %"),
        *("keypoint AP", "box AP", "ms per photo", "times as fast"),
    )
    print(tabulate(rows, head, tablefmt="github", floatfmt=".2f"))
    if arguments.json:
        record = {
            "task": "runtimes",
            "photos": arguments.photos,
            **provenance(arguments.device),
            "rows": [each._asdict() for each in rows],
        }
        write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


def run_shards(arguments: argparse.Namespace) -> None:
    """Print and write what shards of a million tiny photos take."""
    record = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, value in measure_shards(Path(folder), NUM_TINY_PHOTOS):
            record[name] = round(value, 3)
            print(f"{name:32} {record[name]}", flush=True)
    if arguments.json:
        record = {"task": "shards", "photos": NUM_TINY_PHOTOS, **provenance("cpu"), **record}
        write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


def run_tracking(arguments: argparse.Namespace) -> None:
    """Print how well people are followed, and write it."""

    def load() -> PosePredictor:
        overrides = [f"train.device={arguments.device}"]
        return PosePredictor.from_files(arguments.config_file, arguments.weights, overrides)

    record = measure_tracking(TRACKED_SEEDS, load if arguments.weights else None, RENDERED_FRAMES)
    for name, value in record.items():
        print(f"{name:32} {value}")
    if arguments.json:
        record = {"task": "tracking", **provenance(arguments.device), **record}
        write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


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
