"""Whole tools fed with damaged files, each in a process of its own: one line or none, code 0 or 2.

``make test-integration`` tries a few cases of each, ``make soak`` fifty.
"""

import json
import multiprocessing
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.fuzzing import CALLS, PLACES, VALID, call_tool, damage, edits, fuzz, replaced, values
from helpers.repository import ROOT
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.integration

CONFIG = str(ROOT / "configs/quick/coco_tiny.py")
SMALL = [
    "dataloader.train.mapper.augmentations.0.short_edge_length=64",
    "dataloader.test.mapper.augmentations.0.short_edge_length=64",
    "dataloader.train.total_batch_size=1",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "train.device=cpu",
    "train.max_iter=1",
]
SECONDS = 120
# a case takes a second or more, and shrinking a failure would take hundreds
fuzz_tool = settings(fuzz, max_examples=CALLS, phases=[Phase.generate])


# Children of a server that has everything imported and has computed nothing: a process that has
# trained cannot be forked.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pose_project.engine", "detectron2.engine", "hotcoco", "cv2"])


def call(tool: str, *arguments: str, data: Path) -> None:
    """Call a tool in a process of its own."""
    child = FORKS.Process(target=call_tool, args=(tool, arguments, str(data)))
    child.start()
    child.join(SECONDS)
    text = (data / "stderr.txt").read_text()
    if child.exitcode is None:
        child.kill()
        raise AssertionError(f"{tool} hangs: {text[-2000:]}")
    assert child.exitcode in (0, 2), (child.exitcode, text[-3000:])
    assert "Traceback" not in text, text[-3000:]
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == (child.exitcode == 2), text[-3000:]


class World:
    """A folder in COCO's layout with one good photo; parts of it are then damaged."""

    def __enter__(self) -> Path:
        self.root = Path(tempfile.mkdtemp())
        for split in ("train", "val"):
            photos = self.root / "coco" / f"{split}2017"
            photos.mkdir(parents=True)
            cv2.imwrite(str(photos / "1.png"), np.full((64, 80, 3), 90, np.uint8))
            self.write_annotations(self.root, split, json.dumps(VALID).encode())
        return self.root

    @staticmethod
    def write_annotations(root: Path, split: str, content: bytes) -> None:
        path = root / "coco/annotations" / f"person_keypoints_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root)


@fuzz_tool
@given(st.sampled_from(PLACES), values, st.sampled_from(["train", "val"]))
def test_training_on_annotations_with_strange_values(path, value, split):
    with World() as root:
        World.write_annotations(root, split, json.dumps(replaced(VALID, path, value)).encode())
        output = f"train.output_dir={root}/run"
        call("train_net", "--config-file", CONFIG, *SMALL, output, data=root)


@fuzz_tool
@given(edits, st.floats(0, 1))
def test_drawing_damaged_photos(changes, keep):
    with World() as root:
        photo = root / "coco/train2017/1.png"
        photo.write_bytes(damage(photo.read_bytes(), changes, keep))
        output = ("--output", str(root / "drawn"), "--count", "1")
        call("visualize_data", "--config-file", CONFIG, *output, *SMALL, data=root)


@fuzz_tool
@given(edits, st.floats(0.3, 1), st.sampled_from([".pth", ".pkl"]))
def test_evaluating_damaged_weights(changes, keep, suffix):
    with World() as root:
        weights = root / f"weights{suffix}"
        torch.save({"model": {"w": torch.ones(3)}}, weights)
        weights.write_bytes(damage(weights.read_bytes(), changes, keep))
        settings = [*SMALL, f"train.init_checkpoint={weights}", f"train.output_dir={root}/run"]
        call("train_net", "--config-file", CONFIG, "--eval-only", *settings, data=root)


@fuzz_tool
@given(st.text(max_size=60) | values.map(lambda value: json.dumps({"train": value})))
def test_training_from_strange_configs(text):
    with World() as root:
        config = root / "config.yaml"
        config.write_text(text, encoding="utf-8", errors="surrogatepass")
        call("train_net", "--config-file", str(config), f"train.output_dir={root}/run", data=root)


@fuzz_tool
@given(edits, st.floats(0, 1), st.sampled_from(["last_checkpoint", "metrics.json", "model.json"]))
def test_resuming_in_a_damaged_folder(changes, keep, name):
    with World() as root:
        run = root / "run"
        run.mkdir()
        torch.save({"model": {"w": torch.ones(3)}, "iteration": 1}, run / "model.pth")
        files = {"last_checkpoint": b"model.pth", "metrics.json": b'{"iteration": 0}\n'}
        for file, content in {**files, "model.json": b'{"sha256": "0"}'}.items():
            (run / file).write_bytes(damage(content, changes, keep) if file == name else content)
        call(
            *("train_net", "--config-file", CONFIG, "--resume", *SMALL, f"train.output_dir={run}"),
            data=root,
        )
