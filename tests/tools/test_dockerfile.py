"""The image's steps, as far as they go without Docker: what is copied is there and is enough."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.repository import ROOT


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


@pytest.fixture
def image(steps, tmp_path) -> Path:
    """What COPY puts into the image, but for what .dockerignore keeps out."""
    for kind, rest in steps:
        if kind == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                place = tmp_path / target
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / source, place, ignore=ignored)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
    return tmp_path


def test_what_is_copied_is_let_through(steps):
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [each for kind, rest in steps if kind == "COPY" for each in shlex.split(rest)[:-1]]
    assert sorted(copied) == sorted(allowed)


def test_the_copied_files_are_all_that_setup_and_commands_need(steps, image):
    (setup,) = [rest for kind, rest in steps if kind == "RUN" and "pose_project" in rest]
    command = shlex.split(setup.partition(" && ")[0])
    assert command[:4] == ["python", "-m", "pose_project", "setup"]
    run = {"cwd": image, "capture_output": True, "text": True, "check": True}
    subprocess.run([sys.executable, *command[1:4], "--help"], **run)
    # what the step installs: the locked packages, Detectron2 by its tool, and this package
    for needed in ("requirements.txt", "tools/install_detectron2.py", "setup.py"):
        assert (image / needed).is_file()
    listed = subprocess.run(
        [sys.executable, "-m", "pose_project", "predict", "nowhere.jpg"],
        **{**run, "check": False},
    )
    assert listed.returncode == 2 and "no file or folder at nowhere.jpg" in listed.stderr


def test_it_starts_the_one_program(steps):
    kinds = dict(steps)
    assert json.loads(kinds["ENTRYPOINT"]) == ["pose-project"]
    assert kinds["FROM"].startswith("python:3.1")
    assert '"pose-project = ' in (ROOT / "setup.py").read_text()
