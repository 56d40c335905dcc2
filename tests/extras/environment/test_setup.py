"""The environment without make: what is refused, and that Python alone is enough to ask."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from helpers.repository import ROOT

from pose_project.extras.environment.command import check_python, python_of
from pose_project.utils.errors import InputError


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_a_python_without_wheels_is_refused(version):
    with pytest.raises(InputError, match=r"Python 3\.11 to 3\.13 is needed"):
        check_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_other_pythons_are_taken(version):
    check_python(version)


def test_the_interpreter_of_an_environment():
    assert python_of(Path("x"), "posix") == Path("x/bin/python")
    assert python_of(Path("x"), "nt").parts[1:] == ("Scripts", "python.exe")


def test_python_without_any_package_is_enough(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    command = [str(python_of(tmp_path / "bare")), "-m", "pose_project"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    run = {"capture_output": True, "text": True, "env": environment, "cwd": tmp_path}
    helped = subprocess.run([*command, "setup", "--help"], check=True, **run)
    assert "python -m pose_project setup --venv elsewhere" in helped.stdout
    wrong = subprocess.run([*command, "predict"], check=False, **run)
    assert "Run 'python -m pose_project setup'" in " ".join(wrong.stderr.split())
    assert sys.version_info >= (3, 11)
