"""Preparing COCO in a process that is killed and started again; the server counts bytes."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.file_server import FileServer, tiny_coco
from helpers.repository import load_tool

from pose_project.extras.coco_download import coco
from pose_project.extras.coco_download.coco import Dataset

# There is one server of forks for all tests, so this is what the fuzz tests preload as well.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pose_project.engine", "detectron2.engine", "hotcoco", "cv2"])
SECONDS = 60
pytestmark = pytest.mark.integration


def run_tool(arguments: list[str], dataset: Dataset, log: str) -> None:
    """In a process of its own: run the tool with its output in a file, and exit with its code."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    coco.COCO_2017 = dataset  # this process is made for it
    code = load_tool("prepare_coco").main(arguments)
    sys.stdout.flush()
    os._exit(code)


class Run:
    """The tool at work on the server's dataset in one folder."""

    def __init__(self, root: Path, dataset: Dataset, server: FileServer, *arguments: str) -> None:
        self.log = root / "log.txt"
        command = ["--root", str(root), "--mirror", server.address, *arguments]
        self.child = FORKS.Process(target=run_tool, args=(command, dataset, str(self.log)))
        self.child.start()

    def finish(self) -> int:
        self.child.join(SECONDS)
        assert self.child.exitcode is not None, f"hangs: {self.log.read_text()}"
        return self.child.exitcode

    def stop_when(self, condition: Callable[[], bool], signal_number: int) -> int:
        for _ in range(SECONDS * 1000):
            if condition():
                break
            assert self.child.is_alive(), f"ended: {self.log.read_text()}"
            time.sleep(0.001)
        os.kill(self.child.pid, signal_number)
        return self.finish()


@pytest.fixture
def server(monkeypatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as opened:
        yield opened


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_while_fetching(server, tmp_path, number):
    dataset, server.files = tiny_coco({"val": 3, "train": 200})
    archive = dataset.archives[2]
    server.block, server.pause = 4096, 0.002
    run = Run(tmp_path, dataset, server, "--download")
    code = run.stop_when(lambda: server.sent("train2017.zip") > archive.size / 2, number)
    assert code == {signal.SIGINT: 130}.get(number, -number)
    assert "Traceback" not in run.log.read_text()
    kept = (tmp_path / "coco/train2017.zip.part").stat().st_size
    assert kept > archive.size / 4  # the rest of what was sent is lost in buffers of the network
    assert Run(tmp_path, dataset, server, "--download").finish() == 0
    *others, first, second = server.requests
    assert [each.path for each in others] == [f"/{each.path}" for each in dataset.archives[:2]]
    assert (first.range, second.range) == (None, f"bytes={kept}-")
    assert second.sent == archive.size - kept  # no byte that had reached the disk


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_while_unpacking(server, tmp_path, number):
    dataset, server.files = tiny_coco({"val": 3, "train": 3000})
    photos = tmp_path / "coco/train2017"

    def unpacked() -> dict[str, int]:
        found = photos.glob("*.jpg") if photos.exists() else ()
        return {path.name: path.stat().st_mtime_ns for path in found}

    run = Run(tmp_path, dataset, server, "--download")
    run.stop_when(lambda: len(unpacked()) >= 200, number)
    before = unpacked()
    assert 200 <= len(before) < 3000
    sent = server.sent()
    assert Run(tmp_path, dataset, server, "--download").finish() == 0
    after = unpacked()
    assert len(after) == 3000
    assert {name: after[name] for name in before} == before
    assert server.sent() == sent
    assert [path.name for path in photos.iterdir() if path.suffix != ".jpg"] == []
