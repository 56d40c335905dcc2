"""Where a result comes from: code, versions, machine and command."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import detectron2
import numpy
import torch
import torchvision

import pose_project


def collect_provenance() -> dict[str, Any]:
    """Return what is needed to produce a result again: commit, versions, device and command."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": git_commit(),
        "versions": {
            "pose_project": pose_project.__version__,
            "detectron2": detectron2.__version__,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "device": device_name(),
    }


def device_name(device: torch.device | None = None) -> str:
    """Return the GPU's name, or the processor's architecture and number of threads.

    Args:
        device: by default the GPU if there is one.
    """
    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def git_commit() -> str | None:
    """Return the checkout's commit, ``+changes`` appended if files differ; None outside of git."""
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
