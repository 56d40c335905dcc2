"""Weights of named models: fetched once and whole, checked, from a mirror, by two at once."""

import hashlib
import json
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers.file_server import Fault, FileServer
from helpers.repository import ROOT
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

from pose_project.commands.command_line import main
from pose_project.extras.download.large_files import Published, RetryPolicy
from pose_project.extras.model_zoo.named_models import DEFAULT, MODELS, NamedModel, find_model
from pose_project.extras.model_zoo.weights_cache import (
    MIRROR,
    fetch_weights,
    is_cached,
    weights_path,
)
from pose_project.utils.errors import InputError

HASTY = RetryPolicy(timeout=2.0, retries=1, pause=0.001)
NAMES = {f"layer{i}.weight": np.full((64, 64), i, np.float32) for i in range(20)}
CONTENT = pickle.dumps({"model": NAMES, "__author__": "Detectron2 Model Zoo"}, protocol=2)


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(MIRROR, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def model(server: FileServer) -> NamedModel:
    """A model of the published form whose weights are small."""
    server.files["/detectron2/x/model_final_0123.pkl"] = CONTENT
    url = f"{server.address}/detectron2/x/model_final_0123.pkl"
    return replace(MODELS[DEFAULT], url=url)


def test_names_and_figures_are_those_that_were_published():
    assert len(MODELS) == 6 and DEFAULT in MODELS
    for ours, theirs in (("torchvision_COCO_V1", "COCO_V1"), ("torchvision_COCO_LEGACY", None)):
        weights = KeypointRCNN_ResNet50_FPN_Weights[theirs or "COCO_LEGACY"]
        model = MODELS[ours]
        metrics = weights.meta["_metrics"]["COCO-val2017"]
        assert (model.box_ap, model.keypoint_ap) == (metrics["box_map"], metrics["kp_map"])
        assert model.url == weights.url and model.published.digest in weights.url
        assert model.megabytes == pytest.approx(weights.meta["_file_size"] * 1.048576, abs=1)


def test_names_in_any_case_and_the_nearest_of_a_wrong_one():
    assert find_model("Torchvision_coco_v1") is MODELS["torchvision_COCO_V1"]
    with pytest.raises(InputError, match=r"'keypoint_rcnn_R50_FPN'; did you mean keypoint_rcnn_R"):
        find_model("keypoint_rcnn_R50_FPN")
    with pytest.raises(InputError, match="'yolo'; there are keypoint_rcnn_R50_FPN_1x, "):
        find_model("yolo")


def test_fetched_once(model, server, empty_cache):
    assert not is_cached(model)
    path = fetch_weights(model, HASTY)
    assert path == empty_cache / "weights/detectron2/x/model_final_0123.pkl" == weights_path(model)
    assert path.read_bytes() == CONTENT and is_cached(model)
    note = json.loads(path.with_suffix(".json").read_text())
    assert note["licence"] == "CC BY-SA 3.0" and note["size"] == len(CONTENT)
    asked = len(server.requests)
    assert fetch_weights(model, HASTY) == path and len(server.requests) == asked


def test_an_interrupted_download_goes_on(model, server):
    server.faults = [Fault(), Fault(stop_after=100_000), Fault(status=503)]
    assert fetch_weights(model, HASTY).read_bytes() == CONTENT
    assert server.requests[-1].range == "bytes=100000-"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_on_the_web(model, server, monkeypatch, slash):
    monkeypatch.setenv(MIRROR, f"{server.address}/mirror{slash}")
    server.files["/mirror/detectron2/x/model_final_0123.pkl"] = CONTENT
    fetch_weights(replace(model, url="https://nowhere.invalid" + urlsplit(model.url).path), HASTY)
    assert {each.path for each in server.requests} == {"/mirror/detectron2/x/model_final_0123.pkl"}


def test_another_machines_cache_is_a_mirror(model, monkeypatch, tmp_path):
    fetch_weights(model, HASTY)
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv(MIRROR, str(tmp_path / "cache" / "weights"))
    assert fetch_weights(model, HASTY).read_bytes() == CONTENT
    monkeypatch.setenv(MIRROR, str(tmp_path))
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(tmp_path / "third"))
    with pytest.raises(InputError, match="the mirror has no file"):
        fetch_weights(model, HASTY)


def test_without_a_network_the_file_and_its_place_are_named(model):
    offline = replace(model, url="http://127.0.0.1:9/detectron2/x/model_final_0123.pkl")
    with pytest.raises(InputError) as caught:
        fetch_weights(offline, HASTY)
    message = str(caught.value)
    assert "\n" not in message and offline.url in message and MIRROR in message
    assert str(weights_path(offline).parent) in message
    # and putting it there is enough
    weights_path(offline).write_bytes(CONTENT)
    assert fetch_weights(offline, HASTY) == weights_path(offline)
    assert is_cached(offline)


@pytest.mark.parametrize("status", [403, 404])
def test_a_proxy_that_refuses_is_told_with_what_to_bring(model, server, status):
    server.always = Fault(status=status)
    with pytest.raises(InputError, match=f"Error {status}.* Bring {model.url} .*{MIRROR}"):
        fetch_weights(model, HASTY)


def test_half_a_file_that_was_brought_is_named(model):
    offline = replace(model, url="http://127.0.0.1:9/detectron2/x/model_final_0123.pkl")
    path = weights_path(offline)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[: len(CONTENT) // 2])
    with pytest.raises(InputError, match="cannot be read as weights"):
        fetch_weights(offline, HASTY)
    assert not is_cached(offline)
    # a network mends it
    assert fetch_weights(model, HASTY).read_bytes() == CONTENT


def test_a_file_that_shrank_since_is_fetched_anew(model):
    path = fetch_weights(model, HASTY)
    path.write_bytes(CONTENT[:1000])
    assert fetch_weights(model, HASTY).read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [b"<html>log in</html>", pickle.dumps(print)])
def test_what_is_no_weights_is_not_kept(model, server, wrong):
    server.files[urlsplit(model.url).path] = wrong
    with pytest.raises(InputError, match="is not the published model_final_0123.pkl"):
        fetch_weights(model, HASTY)
    assert not weights_path(model).exists()


def test_a_wrong_digest(model, server):
    digest = hashlib.sha256(CONTENT).hexdigest()
    good = replace(model, published=Published(digest=digest[:8]))
    assert fetch_weights(good, HASTY).read_bytes() == CONTENT
    bad = replace(model, url=model.url.replace("0123", "4567"), published=Published(digest="0" * 8))
    server.files[urlsplit(bad.url).path] = CONTENT
    with pytest.raises(InputError, match=f"it has SHA256 {digest[:8]}, not 00000000"):
        fetch_weights(bad, HASTY)
    assert [each for each in weights_path(bad).parent.iterdir() if "4567" in each.name] == [
        weights_path(bad).with_name("model_final_4567.pkl.lock")
    ]


_OTHER_PROCESS = """
import pickle, sys
from pose_project.extras.model_zoo.weights_cache import fetch_weights
sys.stdout.buffer.write(fetch_weights(*pickle.load(sys.stdin.buffer)).read_bytes())
"""


@pytest.mark.integration
def test_two_processes_at_once(model, server):
    server.block, server.pause = 1 << 14, 0.01
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", _OTHER_PROCESS], cwd=ROOT, **pipes) as other:
        pickle.dump((model, HASTY), other.stdin)
        other.stdin.close()
        while not server.requests:
            time.sleep(0.01)
        assert fetch_weights(model, HASTY).read_bytes() == CONTENT == other.stdout.read()
    # one learns the size and fetches, the other finds it
    assert len(server.requests) == 2


@contextmanager
def little_room() -> Iterator[None]:
    """Writing more raises an OSError, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room(model, server):
    with little_room(), pytest.raises(InputError, match="cannot be written.*needs about 237 MB"):
        fetch_weights(model, HASTY)
    assert not weights_path(model).exists()
    assert fetch_weights(model, HASTY).read_bytes() == CONTENT  # what had come in is continued
    assert server.requests[-1].range == "bytes=100000-"


def test_the_list(model, capsys, monkeypatch):
    fetched = replace(model, name="small")
    monkeypatch.setitem(MODELS, "small", fetched)
    assert main(["models"]) == 0
    assert "small" in capsys.readouterr().out
    assert main(["models", "--fetch", "small"]) == 0
    assert capsys.readouterr().out.strip().endswith(str(weights_path(fetched)))
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if line.startswith("small")]
    assert row.endswith("yes") and " 65.5 " in row
    assert main(["models", "--fetch", "smal"]) == 2
    assert "did you mean small?" in capsys.readouterr().err
