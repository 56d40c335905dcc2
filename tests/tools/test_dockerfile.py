"""The image's steps, as far as they go without Docker: what is copied is there and is enough."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
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


@pytest.mark.integration
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


def test_it_is_slim_and_brings_no_compiler(steps):
    kinds = dict(steps)
    assert re.fullmatch(r"python:3\.1[123]-slim", kinds["FROM"])
    installed = [rest for kind, rest in steps if kind == "RUN" and "apt-get install" in rest]
    (packages,) = (re.search(r"recommends (.*?) +&&", rest).group(1).split() for rest in installed)
    assert packages == ["libgl1", "libglib2.0-0"]


@pytest.mark.parametrize("variant", ["cuda", "cpu"])
def test_the_argument_chooses_the_build_of_pytorch(steps, variant, tmp_path):
    """As pip chooses: from a folder as the package index, and one as PyTorch's for CPUs."""
    (argument,) = [rest for kind, rest in steps if kind == "ARG"]
    assert argument == "PIP_EXTRA_INDEX_URL="
    order = [kind for kind, rest in steps if kind == "ARG" or "pose_project setup" in rest]
    assert order == ["ARG", "RUN"]  # what comes after is not told
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = [line for line in lines if re.match(r"torch(vision)?==", line)]
    for index, local in (("index", ""), ("cpu", "+cpu")):
        for each in locked:
            name, version = each.split("==")
            make_wheel(tmp_path / index / name, name, version + local)
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    environment["PIP_INDEX_URL"] = (tmp_path / "index").as_uri()
    environment["PIP_EXTRA_INDEX_URL"] = (tmp_path / "cpu").as_uri() if variant == "cpu" else ""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(tmp_path / "to")]
    done = subprocess.run([*command, *locked], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = sorted(path.name.split("-")[1] for path in (tmp_path / "to").iterdir())
    suffix = "+cpu" if variant == "cpu" else ""
    assert found == sorted(each.split("==")[1] + suffix for each in locked)


def make_wheel(folder: Path, name: str, version: str) -> None:
    """Write a package with nothing in it, and the page that lists it."""
    folder.mkdir(parents=True)
    file = f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / file, "w") as wheel:
        named = f"Name: {name}\nVersion: {version}\n"
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\n{named}")
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", kind)
        wheel.writestr(f"{about}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{file}">{file}</a>', encoding="utf-8")


def test_it_starts_the_one_program(steps):
    kinds = dict(steps)
    assert json.loads(kinds["ENTRYPOINT"]) == ["pose-project"]
    assert kinds["FROM"].startswith("python:3.1")
    assert '"pose-project = ' in (ROOT / "setup.py").read_text()
