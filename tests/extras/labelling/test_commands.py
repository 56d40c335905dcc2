"""Wrong input is one line, and nothing is written."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.drafts import random_draft

from pose_project.commands.command_line import main

MODEL = ["--config-file", "configs/quick/synthetic.py", "--weights", "none.pth"]


def refused(capsys: pytest.CaptureFixture, output: Path, *arguments: object) -> str:
    assert main([str(each) for each in arguments]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("error: ") and not output.exists()
    return line


def test_wrong_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    photo, out = tmp_path / "a.png", tmp_path / "out"
    cv2.imwrite(str(photo), np.zeros((8, 8, 3), np.uint8))
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    (tmp_path / "clip.mp4").write_bytes(b"")
    draft = tmp_path / "predictions.json"
    draft.write_text(json.dumps(random_draft()))
    other = tmp_path / "other.json"
    other.write_text('{"images": [], "annotations": [], "categories": []}')
    rank = ["rank", *MODEL, "--output", out, "--input"]
    draw = ["pre-annotate", *MODEL, "--format", "cvat", "--output", out, "--input"]
    read = ["read-corrections", "--output", out, "--draft"]
    find = ["find-label-errors", "--output", out, "--images"]

    for arguments, message in (
        ([*rank, photo, "--count", 0], "--count must be at least 1"),
        ([*rank, tmp_path / "nowhere"], "no file or folder at"),
        ([*rank, tmp_path / "clip.mp4"], "is a video"),
        ([*draw, photo, "--check-below", 2], "--check-below must be in 0 to 1"),
        ([*draw, empty], "lists no photos"),
        ([*draw, tmp_path / "no.txt"], "no file at"),
        ([*read, draft, tmp_path / "no.xml"], "no file at"),
        ([*read, other, draft], "is not a draft of pre-annotate"),
        ([*find, tmp_path, *MODEL, tmp_path / "no.json"], "no annotations at"),
        ([*find, photo, *MODEL, draft], "is not a folder"),
    ):
        assert message in refused(capsys, out, *arguments)
