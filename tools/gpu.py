"""Prove and measure on a GPU what cannot be proven or measured without one.

    python tools/gpu.py --json docs/gpu.json --report docs/gpu.md
    python tools/gpu.py --parts tests counts --json gpu.json

tests: the tests that need a GPU, among them the message when its memory does not suffice.
counts: waits and kernels of a photo and of a training step, against Detectron2.
resume: a run that is killed with SIGKILL goes on where its last checkpoint was.
demo: the demo's model is trained to its AP. accuracy: what each precision changes of it.
benchmark: decoding, inference and training against Detectron2 and torchvision in one process.
r50: the R50-FPN model is trained from scratch.

Each part is a process of its own that ends after --part-seconds at the latest; what it has measured
until then is kept. The JSON is written after each part. Exit code 1 if one failed.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # benchmarks is not installed

from benchmarks.gpu_report import write_gpu_report
from benchmarks.gpu_run import PARTS, Setup
from pose_project.utils.cli import EXIT_OK, run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance, device_name, git_commit

EXIT_FAILED = 1


def get_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="what to run"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="the result; parts of a file that is there stay"
    )
    parser.add_argument("--report", type=Path, metavar="PAGE.md", help="also write a page of it")
    parser.add_argument(
        "--device", default="cuda", choices=["cuda", "cpu"], help="cpu: to try the command itself"
    )
    parser.add_argument(
        "--small", action="store_true", help="a rehearsal with tiny photos and models"
    )
    parser.add_argument(
        "--seconds", type=float, default=1500, help="of all parts (default: %(default)s)"
    )
    parser.add_argument(
        "--part-seconds", type=float, default=480, help="of one part (default: %(default)s)"
    )
    parser.add_argument("--work", type=Path, help="keep runs and weights here")
    parser.add_argument("--commit", help="the code's commit, where it is not a git checkout")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Run the parts, each in a process of its own."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no CUDA device; --device cpu --small tries the command")
    if arguments.child:
        return run_child(arguments)
    if not arguments.json:
        raise InputError("give --json, where the result goes")
    record = start_record(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + arguments.seconds
        for name in arguments.parts:
            limit = min(arguments.part_seconds, end - time.monotonic())
            part = run_part(arguments, name, work.resolve(), limit)
            record["parts"][name] = {**part, "git_commit": arguments.commit or git_commit()}
            print(f"{name}: {part['status']}, {part['seconds']} s", flush=True)
            write_text_atomic(arguments.json, json.dumps(record, indent=1) + "\n")
            if arguments.report:
                write_gpu_report(arguments.json, arguments.report)
    outcomes = [record["parts"][name]["status"] for name in arguments.parts]
    return EXIT_OK if set(outcomes) == {"passed"} else EXIT_FAILED


def start_record(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return a record of this machine, with the parts that the file already has.

    Raises:
        InputError: if the file is of another device.
    """
    device = torch.device(arguments.device)
    record = {
        "versions": collect_provenance()["versions"],
        "device": device_name(device),
        "driver": driver(),
        "parts": {},
    }
    if arguments.json.exists():
        try:
            before = json.loads(arguments.json.read_text(encoding="utf-8"))
            if before["device"] != record["device"]:
                raise InputError(f"{arguments.json} is of another device, {before['device']}")
            record["parts"] = before["parts"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{arguments.json} is no result of this tool: {error!r}") from error
    return record


def driver() -> str | None:
    """Return the version of NVIDIA's driver, None if there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    lines = subprocess.run(query, capture_output=True, text=True).stdout.split()
    return lines[0] if lines else None


def run_part(
    arguments: argparse.Namespace, name: str, work: Path, seconds: float
) -> dict[str, Any]:
    """Return outcome, seconds and record of a part; its process group is killed at the limit."""
    if seconds < 1:
        return {"status": "not run: no time was left", "seconds": 0, "record": {}}
    output = work / f"{name}.json"
    output.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--parts", name, "--child", str(output)]
    command += ["--device", arguments.device, "--work", str(work)]
    command += ["--small"] if arguments.small else []
    start = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait(timeout=seconds)
        status = "passed" if code == 0 else "failed"
    except subprocess.TimeoutExpired:
        status = f"stopped after {seconds:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    record = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    error = record.pop("error", None)
    if error or (status == "failed" and not record):
        status = f"failed: {' '.join((error or 'see its output').split())[:300]}"
    return {"status": status, "seconds": round(time.monotonic() - start), "record": record}


def run_child(arguments: argparse.Namespace) -> int:
    """Run one part here; write its record as it grows, and what it failed with."""
    (name,) = arguments.parts
    record: dict[str, Any] = {}
    try:
        for record in PARTS[name](Setup(arguments.device, arguments.work, arguments.small)):
            write_text_atomic(arguments.child, json.dumps(record))
    except Exception as error:
        logging.getLogger(__name__).exception("The part %s failed.", name)
        write_text_atomic(arguments.child, json.dumps({**record, "error": str(error)}))
        return EXIT_FAILED
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    arguments = get_parser().parse_args(argv)
    return run_tool(lambda: run(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
