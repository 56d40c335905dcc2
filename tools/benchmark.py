"""Measure this project's parts.

    python tools/benchmark.py --task data [--json OUT]

data: annotations of COCO train2017's size (64,115 photos, 262,465 people) through registration,
filter and sampler; prints photos kept, iterations per epoch, seconds and memory.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from detectron2.utils.logger import setup_logger

from pose_project.benchmark import measure_dataset, write_coco_sized_json
from pose_project.benchmark.coco_size import NUM_PEOPLE, NUM_PHOTOS
from pose_project.utils.cli import run_tool
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance

TOTAL_BATCH_SIZE, NUM_BATCHES = 8, 90_000


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=["data"], required=True, help="what to measure")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the result here")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        json_file = Path(folder) / "coco_sized.json"
        write_coco_sized_json(json_file, NUM_PHOTOS, NUM_PEOPLE)
        size_mb = json_file.stat().st_size / 1e6
        result = measure_dataset(json_file, TOTAL_BATCH_SIZE, NUM_BATCHES)
    sizes = {"photos": NUM_PHOTOS, "people": NUM_PEOPLE, "json_mb": round(size_mb)}
    record = {"task": "data", **sizes, "total_batch_size": TOTAL_BATCH_SIZE, **result}
    for name, value in record.items():
        print(f"{name:28} {value}")
    if arguments.json:
        content = json.dumps({**record, **collect_provenance()}, indent=2)
        write_text_atomic(arguments.json, content + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    setup_logger(name="pose_project")
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
