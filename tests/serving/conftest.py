import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from inference.conftest import CONFIG, EVERYTHING

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.structures import COCO_PERSON

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install -e '.[serve]'")

SMALL = (
    *EVERYTHING,
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "train.inference.answers.temperature=1.0",
)
COMMAND = [sys.executable, str(ROOT / "tools/serve.py"), "--config-file", CONFIG]


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen
    port: int

    def ask(
        self, method: str, path: str, body: object = None, headers: dict | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read()
        finally:
            connection.close()

    def poses(self, body: object, headers: dict | None = None) -> tuple[int, dict]:
        """Return status and JSON of the answer to a photo."""
        status, _, answer = self.ask("POST", "/api/poses", body, headers)
        return status, json.loads(answer)

    def rss_mb(self) -> float:
        """Return the memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture(scope="session")
def served_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the compact model, as those of tests/inference."""
    torch.manual_seed(0)
    model = PoseTrainer.build_model(load_config(CONFIG, EVERYTHING))
    # without statistics BatchNorm lets values grow: all scores would be exactly 0 or 1
    model.roi_heads.keypoint_head.score_lowres.weight.data *= 1e-2
    model.roi_heads.box_predictor.cls_score.weight.data *= 1e-6
    folder = tmp_path_factory.mktemp("served")
    categories = [COCO_PERSON.to_coco_category(1, "person")]
    PoseCheckpointer(model, str(folder)).save("model", provenance={"categories": categories})
    return folder / "model.pth"


@pytest.fixture(scope="session")
def start(
    served_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    """Start servers; those still running end with the tests."""
    servers = []

    def start_one(*options: str) -> Server:
        log = tmp_path_factory.mktemp("log") / "log.txt"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [*COMMAND, "--weights", str(served_weights), "--port", "0", *options, *SMALL],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        servers.append(process)
        for _ in range(600):
            found = re.search(r"Poses at http://127.0.0.1:(\d+)/", log.read_text())
            if found:
                return Server(process, int(found.group(1)))
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    yield start_one
    for process in servers:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server]) -> Server:
    """A server with small limits on bytes and pixels, and none on the rate."""
    return start(
        "--max-per-minute", "0", "--max-mb", "0.5", "--max-megapixels", "0.2", "--max-batch", "4"
    )


def photo_bytes(seed: int, height: int = 60, width: int = 80) -> bytes:
    """Return a PNG of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()
