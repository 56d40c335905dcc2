"""From nothing to a pose with one command, from files as Detectron2 and torchvision publish them.

The weights are random, the files of the published form: a server on this machine sends them.
"""

import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import LazyConfig
from helpers.file_server import FileServer
from helpers.repository import ROOT
from helpers.torchvision_models import as_published, build_frozen_model, random_weights

from pose_project.commands.command_line import main
from pose_project.config.building import build
from pose_project.config.loading import load_config
from pose_project.data import resolve_dataset
from pose_project.extras.download.large_files import Published
from pose_project.extras.model_zoo.named_models import DEFAULT, MODELS
from pose_project.extras.model_zoo.weights_cache import MIRROR, is_cached, weights_path
from pose_project.inference import PosePredictor

pytestmark = pytest.mark.integration

UNRESIZED = "dataloader.test.mapper.augmentations=[]"  # as small as the photos are


@pytest.fixture(scope="module")
def detectron2_file() -> bytes:
    torch.manual_seed(0)
    model = build(load_config(str(ROOT / "configs" / MODELS[DEFAULT].config)), "model")
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    return pickle.dumps({"model": weights, "__author__": "Detectron2 Model Zoo"}, protocol=4)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FileServer) -> Path:
    """A folder with a photo, an empty cache, and the server as the mirror."""
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(MIRROR, server.address)
    monkeypatch.chdir(tmp_path)
    photo = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    cv2.imwrite("photo.jpg", photo)
    return tmp_path


def test_one_command_from_an_empty_cache(home, server, detectron2_file):
    server.files[urlsplit(MODELS[DEFAULT].url).path] = detectron2_file
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for turn in ("fetched", "from the cache"):
        command = [sys.executable, "-m", "pose_project", "predict", "photo.jpg", "--device", "cpu"]
        start = time.perf_counter()
        ended = subprocess.run(
            [*command, UNRESIZED], capture_output=True, text=True, env=environment, check=False
        )
        print(f"{turn}: {time.perf_counter() - start:.1f} s")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-1] and "photo.jpg: " in ended.stdout
        assert cv2.imread("photo_poses.jpg").shape == (120, 160, 3)
        Path("photo_poses.jpg").unlink()
    assert server.sent() == pytest.approx(len(detectron2_file), abs=1 << 20)
    assert is_cached(MODELS[DEFAULT])


def test_torchvisions_file_is_converted_as_it_was_trained(home, server, monkeypatch):
    photos = torch.rand(1, 3, 128, 160)
    weights = random_weights(photos, bn_eps=0.0, num_keypoints=17)
    stream = io.BytesIO()
    torch.save(as_published(weights), stream)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()[:8]
    model = replace(MODELS["torchvision_COCO_V1"], published=Published(digest=digest))
    monkeypatch.setitem(MODELS, model.name, model)
    server.files[urlsplit(model.url).path] = stream.getvalue()
    image = (photos[0].permute(1, 2, 0) * 255).byte().numpy()
    poses = PosePredictor.from_pretrained(model.name, ["train.device=cpu"])(image[:, :, ::-1])
    with torch.no_grad():
        (expected,) = build_frozen_model(weights, bn_eps=0.0)(
            [torch.from_numpy(image / 255.0).permute(2, 0, 1).float()]
        )
    kept = expected["scores"] >= 0.05
    count = min(len(poses), int(kept.sum()), 10)
    assert count
    # scores of random weights are equal to the last bit, so the order is anybody's
    distances = np.abs(poses.boxes[:count, None] - expected["boxes"].numpy()[kept][None]).max(2)
    assert distances.min(1).max() < 0.05
    # served twice from the cache, converted once
    converted = weights_path(model).with_suffix(".converted.pth")
    stamp = converted.stat().st_mtime_ns
    PosePredictor.from_pretrained(model.name, ["train.device=cpu"])
    assert converted.stat().st_mtime_ns == stamp and len(server.requests) == 2


def test_export_and_scoring_by_name(home, server, detectron2_file, capsys):
    server.files[urlsplit(MODELS[DEFAULT].url).path] = detectron2_file
    assert main(["export", "--format", "torchscript", "--output", "exported"]) == 0
    record = json.loads(Path("exported/model.json").read_text())
    assert "person" in json.dumps(record)
    assert main(["evaluate", "--model", DEFAULT, "--device", "cpu", *_tiny_test(), UNRESIZED]) == 0
    assert "keypoints" in capsys.readouterr().out


def _tiny_test() -> list[str]:
    return ["dataloader.test.dataset.names=synthetic_demo_val_4", "dataloader.test.num_workers=0"]


def test_training_starts_from_a_name_on_other_keypoints(home, server, detectron2_file, capsys):
    server.files[urlsplit(MODELS[DEFAULT].url).path] = detectron2_file
    metadata = resolve_dataset("synthetic_demo_train_12")
    content = json.loads(Path(metadata.json_file).read_text())
    category = content["categories"][0]
    category["keypoints"] = category["keypoints"][:5]
    for key in ("skeleton", "flip_pairs", "oks_sigmas"):
        category.pop(key, None)
    for each in content["annotations"]:
        each["keypoints"] = each["keypoints"][:15]
        each["num_keypoints"] = sum(v > 0 for v in each["keypoints"][2::3])
    Path("own.json").write_text(json.dumps(content))
    first = content["annotations"][0]["image_id"]
    content["images"] = [each for each in content["images"] if each["id"] == first]
    content["annotations"] = [e for e in content["annotations"] if e["image_id"] == first]
    Path("val.json").write_text(json.dumps(content))
    arguments = [
        *("train", "--model", DEFAULT, "--device", "cpu", "train.output_dir=run"),
        *("custom.train_json=own.json", "custom.val_json=val.json"),
        *(f"custom.image_root={metadata.image_root}", "train.max_iter=1"),
        *("dataloader.train.num_workers=0", "dataloader.test.num_workers=0"),
        *("dataloader.train.total_batch_size=1", "train.eval_period=0"),
        *("dataloader.train.mapper.augmentations=[]", UNRESIZED),
    ]
    assert main(arguments) == 0
    log = capsys.readouterr().out
    head = "roi_heads.keypoint_head.score_lowres"
    assert re.search(rf"(\d+) of (\d+) tensors taken over; new: {head}.bias, {head}.weight\b", log)
    cfg = LazyConfig.load("run/config.yaml")
    assert cfg.optimizer.lr == pytest.approx(0.02 / 8)
