"""Measure this project's parts, alone or against a peer in the same run.

    python tools/benchmark.py --task decode [--peer detectron2|torchvision] [--device cpu|cuda]
    python tools/benchmark.py --task eval [--json docs/benchmarks/eval_cpu.json]
    python tools/benchmark.py --task accuracy --config-file F --weights W
    python tools/benchmark.py --task test_time --config-file F --weights W
    python tools/benchmark.py --task runtimes --config-file F --weights W
    python tools/benchmark.py --task tracking [--config-file F --weights W]
    python tools/benchmark.py --task shards
    python tools/benchmark.py --task all --json docs/benchmarks
    python tools/benchmark.py --report docs/benchmarks.md

decode: heatmaps of 1 to 100 people to keypoints, trained-like and noise.
inference: the whole R50-FPN model, photo in and people out, with each switch of train.inference.
train: a training step of the R50-FPN model.
eval: boxes and keypoints of 625 to 5,000 photos, from predictions to numbers; by pycocotools and,
where Detectron2 was built with its operators, its compiled evaluator.
startup: from the command to the first iteration.
data: photos through mapper and loader, with the augmentations of the 42-epoch recipe. Also
annotations of COCO train2017's size (64,115 photos, 262,465 people) through registration, filter
and sampler, on their own.
accuracy: the AP of a trained model, with each switch, against Detectron2's head in float32.
test_time: AP and time with each switch of train.inference.test_time.
runtimes: agreement, AP and time of an exported model in ONNX Runtime and OpenVINO, against PyTorch.
shards: tar files of a million tiny photos: writing, index, random reads, memory; 2.6 GB of disk.
tracking: how often people who walk past each other are taken for one another; on detections with
known faults and, with --weights, on the pictures.
all: those of these that have a peer, against each of them; --json names a folder.

Prints time, ratio, memory, and how far the outputs are apart. If that is more than the stated
bound, the exit code is 1 and no JSON is written.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks is not installed

from pose_project.utils.cli import run_tool

TASKS = (
    *("decode", "inference", "train", "eval", "data", "startup"),
    *("accuracy", "test_time", "runtimes", "tracking", "shards", "all"),
)


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--task",
        type=lambda name: "test_time" if name == "answers" else name,  # its name once
        choices=TASKS,
        help="what to measure",
    )
    parser.add_argument(
        "--peer",
        choices=["detectron2", "torchvision"],
        default="detectron2",
        help="what to compare with (default: detectron2)",
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cpu", help="where to run (default: cpu)"
    )
    parser.add_argument(
        "--config-file",
        default="configs/quick/synthetic.py",
        help="of accuracy, test_time, runtimes and tracking (default: %(default)s)",
    )
    parser.add_argument(
        "--weights", default="", help="of the same: what was trained with the config"
    )
    parser.add_argument(
        "--photos",
        default="synthetic_demo_val_400",
        help="of accuracy, test_time and runtimes (default: %(default)s)",
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


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    # late, since --help is answered without PyTorch
    from detectron2.utils.logger import setup_logger

    from benchmarks.tasks import run

    setup_logger(name="pose_project")
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
