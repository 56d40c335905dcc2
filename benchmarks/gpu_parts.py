"""The parts of ``tools/gpu.py``, each in a process of its own, and the record of them all."""

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

from benchmarks.gpu_report import write_gpu_report
from benchmarks.gpu_run import PARTS, Setup
from pose_project.utils.cli import EXIT_OK
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance, device_name, git_commit

EXIT_FAILED = 1
_TOOL = Path(__file__).resolve().parents[1] / "tools" / "gpu.py"


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
            raise InputError(f"{arguments.json} is not a result of this tool: {error!r}") from error
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
    command = [sys.executable, str(_TOOL), "--parts", name, "--child", str(output)]
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
