"""Where a model runs."""

import logging
import os
import subprocess
import sys

import pytest
import torch
from helpers.repository import ROOT

from pose_project.data.loader import _can_pin_memory
from pose_project.modeling.build import resolve_device


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "expected", "said"),
    [
        ("cpu", True, True, "cpu", ""),
        ("cuda:1", True, False, "cuda:1", ""),
        ("cuda", False, False, "cpu", "No CUDA device here"),
        ("cuda", False, True, "cpu", "No CUDA device here"),  # mps only where it is asked for
        ("mps", False, True, "mps", ""),
        ("mps", True, False, "cpu", "No MPS device here"),
    ],
)
def test_a_device_that_is_there(monkeypatch, caplog, asked, cuda, mps, expected, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    with caplog.at_level(logging.INFO):
        assert resolve_device(asked) == expected
    assert (said in caplog.text) if said else caplog.text == ""


def test_apples_gpu_takes_no_pinned_memory(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert _can_pin_memory()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert not _can_pin_memory()


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_on_a_mac_commands_let_missing_operations_run_on_the_cpu(platform, tmp_path):
    """PyTorch reads the variable when it is imported, so it has to be there before."""
    code = f"""
import os, sys
sys.platform = {platform!r}
from pose_project.commands.command_line import run_command
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise SystemExit(os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "unset"))
sys.meta_path.insert(0, Watch())
run_command("predict", ["nowhere.jpg"])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTORCH_ENABLE_MPS_FALLBACK", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.stderr.strip() == ("1" if platform == "darwin" else "unset")
