"""The tool against a server on this machine."""

import types
from collections.abc import Iterator

import pytest
from helpers.file_server import Fault, FileServer, tiny_coco
from helpers.repository import load_tool

from pose_project.extras.coco_download import coco


@pytest.fixture
def server(monkeypatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as opened:
        yield opened


def test_fetch_then_check(server, tmp_path, capsys, monkeypatch):
    dataset, server.files = tiny_coco({"train": 6, "val": 3})
    monkeypatch.setattr(coco, "COCO_2017", dataset)

    def run(*arguments: str) -> int:
        command = ["--root", str(tmp_path), "--mirror", server.address, *arguments]
        return load_tool("prepare_coco").main(command)

    server.faults = [Fault(status=404)]
    assert run("--download") == 2
    assert "HTTP 404" in capsys.readouterr().err
    assert run("--download") == 0
    output = capsys.readouterr().out
    assert "| photos with people    |       3 |     2 |" in output
    assert f"complete. Training reads DETECTRON2_DATASETS={tmp_path}\n" in output
    asked = len(server.requests)
    assert run("--check") == 0
    (tmp_path / "coco/val2017/000000001001.jpg").unlink()
    assert run("--check", "--what", "train") == 0
    assert run("--check", "--what", "val, annotations") == 1
    assert "incomplete: val2017: 2 of 3 files" in capsys.readouterr().out
    assert len(server.requests) == asked


def test_a_server_with_something_else(server, tmp_path, capsys, monkeypatch):
    """The tool as a user calls it, with COCO's own sizes; the disk is said to be large enough."""
    usage = types.SimpleNamespace(free=10**12)
    monkeypatch.setattr(coco.shutil, "disk_usage", lambda _: usage)
    server.files = tiny_coco({"train": 3, "val": 3})[1]
    command = ["--root", str(tmp_path), "--mirror", server.address + "/", "--download"]
    assert load_tool("prepare_coco").main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "annotations/annotations_trainval2017.zip has " in line
    assert " bytes, not 252,907,541: this is another file" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do: give --download or --check"),
        (["--check"], "no folder"),
        (["--check", "--what", "train,tests"], "--what: no part 'tests'"),
        (["--check", "--what", ""], "--what: no part ''"),
        (["--download", "--mirror", "ftp://127.0.0.1"], "is not an http or https address"),
        (["--download", "--mirror", "file:///etc"], "is not an http or https address"),
        (["--download", "--mirror", "http://"], "is not an http or https address"),
        (["--download", "--mirror", "http://[x"], "is not an http or https address"),
        (["--download", "--mirror", "http://x:99999"], "is not an http or https address"),
        (["--download", "--mirror", "http://x/\na b"], "is not an http or https address"),
    ],
)
def test_wrong_input(tmp_path, capsys, arguments, message):
    root = tmp_path / "new"
    assert load_tool("prepare_coco").main(["--root", str(root), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not root.exists()
