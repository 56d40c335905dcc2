import io
import logging
import sys

import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def log_file(tmp_path):
    path = tmp_path / "log.txt"
    handler = logging.FileHandler(path)
    package = logging.getLogger("pose_project")
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    yield path
    package.removeHandler(handler)
    package.setLevel(level)


@pytest.mark.integration
def test_a_terminal_gets_a_bar_and_the_log_its_lines(start, log_file, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    start("train.max_iter=3").train()
    screen = terminal.getvalue()
    assert "epoch 1/1: 100%" in screen
    assert "img/s" in screen and "loss" in screen and "lr" in screen
    assert "evaluation" in screen
    assert log_file.read_text().count("iteration 3/3  loss") == 1


@pytest.mark.integration
def test_elsewhere_there_are_lines(start, log_file, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    start("train.max_iter=3").train()
    assert sys.stderr.getvalue() == ""
    assert "epoch 1/1  iteration 2/3  loss" in log_file.read_text()
    assert "ETA" in log_file.read_text()
