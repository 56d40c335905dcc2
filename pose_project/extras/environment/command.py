"""Make an environment with everything in it; needs nothing but Python.

    pose-project setup
    pose-project setup --venv elsewhere

Makes .venv with the locked packages, Detectron2 (one that is there is kept) and this project. It is
what make setup calls, and works where there is no make: on Windows and macOS.
"""

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

from pose_project.utils.errors import InputError

_ROOT = Path(__file__).resolve().parents[3]
_VERSIONS = ((3, 11), (3, 13))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add where the environment is made."""
    parser.add_argument("--venv", type=Path, default=Path(".venv"), metavar="DIR", help="to make")


def run(arguments: argparse.Namespace) -> None:
    """Make the environment, or complete one that is there."""
    check_python(sys.version_info[:2])
    if not (_ROOT / "requirements.txt").is_file():
        raise InputError(f"{_ROOT} is not a checkout of the project: it has no requirements.txt")
    python = python_of(arguments.venv)
    if not python.exists():
        venv.create(arguments.venv, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in (
        [*pip, "--requirement", _ROOT / "requirements.txt"],
        [python, _ROOT / "tools" / "install_detectron2.py"],
        [*pip, "--no-deps", "--no-build-isolation", "--editable", _ROOT],
    ):
        ended = subprocess.run([str(each) for each in step], check=False)
        if ended.returncode:
            raise InputError(f"{' '.join(map(str, step))} failed; its lines above say why")


def check_python(version: tuple[int, ...]) -> None:
    """Raise ``InputError`` for a Python that the locked packages are not built for."""
    oldest, newest = (".".join(map(str, each)) for each in _VERSIONS)
    if not _VERSIONS[0] <= version <= _VERSIONS[1]:
        raise InputError(
            f"Python {oldest} to {newest} is needed, {sys.executable} is "
            f"{'.'.join(map(str, version))}"
            "; use another one: make PYTHON=python3.12 ..., or python3.12 -m pose_project setup"
        )


def python_of(folder: Path, os_name: str = os.name) -> Path:
    """Return the interpreter of a virtual environment."""
    names = ("Scripts", "python.exe") if os_name == "nt" else ("bin", "python")
    return folder.joinpath(*names)
