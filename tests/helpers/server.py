"""A server in a process of its own, and what it is asked."""

import http.client
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.repository import ROOT
from helpers.runs import CONFIG, EVERYTHING

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install -e '.[serve]'")

SMALL = (
    *EVERYTHING,
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "train.inference.test_time.temperature=1.0",
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


def photo_bytes(seed: int, height: int = 60, width: int = 80) -> bytes:
    """Return a PNG of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()
