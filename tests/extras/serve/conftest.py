import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers.repository import ROOT
from helpers.runs import CONFIG, EVERYTHING
from helpers.server import COMMAND, SMALL, Server

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.structures import COCO_PERSON

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install -e '.[serve]'")


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
