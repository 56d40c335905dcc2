"""Everything that reads outside data, fed with damaged and hostile input: one clear error or none.

``make test`` tries a few cases of each, ``make soak`` ten thousand.
"""

import copy
import functools
import json
import logging
import pickle
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from detectron2.data import DatasetCatalog, MetadataCatalog
from helpers.fuzzing import PLACES, VALID, damage, edits, fuzz, paths_in, replaced, values
from helpers.repository import ROOT
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig

from pose_project.checkpoint.checkpointer import load_tensors
from pose_project.checkpoint.pickled_weights import load_pickled_weights
from pose_project.config.overrides import apply_overrides
from pose_project.config.settings import read_settings
from pose_project.config.train_settings import TrainSettings
from pose_project.data import KeypointMapper, get_dataset_dicts, register_keypoint_dataset
from pose_project.engine import load_config
from pose_project.engine.hooks.metrics import drop_rows
from pose_project.extras.converters.yolo_to_coco import yolo_to_coco
from pose_project.extras.pictures.training_curves import read_series
from pose_project.extras.selective_search.proposal_files import add_proposals
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

PHOTO = cv2.imencode(".png", np.zeros((64, 80, 3), np.uint8))[1].tobytes()


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def use_annotations(text: str) -> None:
    """Register, load and map a JSON, as training would before its first iteration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        (Path(folder) / "1.png").write_bytes(PHOTO)
        name = str(path)
        register_keypoint_dataset(name, path, folder)
        try:
            mapper = KeypointMapper([], COCO_PERSON.hflip_indices)
            for photo in get_dataset_dicts(name, filter_empty=False, min_keypoints=1):
                mapper(photo)
        except InputError as error:
            assert str(error)
        finally:
            DatasetCatalog.remove(name)
            MetadataCatalog.remove(name)


@fuzz
@given(st.sampled_from(PLACES), values)
def test_annotations_with_a_value_that_does_not_belong_there(path, value):
    use_annotations(json.dumps(replaced(VALID, path, value)))


@fuzz
@given(edits, st.floats(0, 1))
def test_annotations_with_damaged_bytes(changes, keep):
    use_annotations(damage(json.dumps(VALID).encode(), changes, keep).decode("latin1"))


def test_deeply_nested_json():
    use_annotations("[" * 100_000 + "]" * 100_000)


WEIGHTS = {"conv.weight": np.ones((2, 3), np.float32), "conv.bias": np.zeros(2)}


def read(function, suffix: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"weights{suffix}"
        path.write_bytes(content)
        try:
            assert isinstance(function(str(path)), dict)
        except InputError as error:
            assert "weights" in str(error)
        assert [each.name for each in Path(folder).iterdir()] == [path.name]


@fuzz
@given(edits, st.floats(0, 1), st.integers(0, 5))
def test_pickled_weights(changes, keep, protocol):
    content = pickle.dumps({"model": WEIGHTS, "__author__": "me"}, protocol)
    read(load_pickled_weights, ".pkl", damage(content, changes, keep))


@fuzz
@given(values)
def test_pickles_of_other_things(value):
    read(load_pickled_weights, ".pkl", pickle.dumps(value))


PROPOSALS = {
    "ids": [1, "b"],
    "boxes": [np.array([[0.0, 0, 8, 8], [5, 5, 60, 90]]), np.zeros((0, 4), np.float32)],
    "objectness_logits": [np.array([0.5, -1]), np.zeros(0, np.float32)],
    "bbox_mode": 0,
}


def use_proposals(content: bytes) -> None:
    """Add the proposals of a file to two photos and map them, as training would."""
    with tempfile.TemporaryDirectory() as folder:
        path, photo = Path(folder) / "proposals.pkl", Path(folder) / "1.png"
        path.write_bytes(content)
        photo.write_bytes(PHOTO)
        photos = [{"image_id": image_id, "file_name": str(photo)} for image_id in PROPOSALS["ids"]]
        mapper = KeypointMapper([], COCO_PERSON.hflip_indices, proposal_topk=5)
        try:
            for each in add_proposals(photos, path, "people"):
                assert mapper(each)["proposals"].proposal_boxes.tensor.shape[1] == 4
        except InputError as error:
            assert "proposals" in str(error)


@fuzz
@given(edits, st.floats(0, 1), st.integers(0, 5))
def test_proposal_files(changes, keep, protocol):
    use_proposals(damage(pickle.dumps(PROPOSALS, protocol), changes, keep))


@fuzz
@given(
    st.sampled_from([path for path in paths_in(PROPOSALS) if path]),
    values | st.lists(st.lists(st.floats(), min_size=4, max_size=4), max_size=2).map(np.array),
)
def test_proposal_files_with_a_value_that_does_not_belong_there(path, value):
    use_proposals(pickle.dumps(replaced(PROPOSALS, path, value)))


@fuzz
@given(edits, st.floats(0.5, 1))
def test_checkpoints(changes, keep):
    with tempfile.TemporaryDirectory() as folder:
        torch.save({"model": {"w": torch.ones(3)}, "iteration": 5}, f"{folder}/a.pth")
        content = Path(folder, "a.pth").read_bytes()
    read(load_tensors, ".pth", damage(content, changes, keep))


@fuzz
@given(st.text(max_size=60) | values.map(lambda value: json.dumps({"train": value})))
def test_saved_configs(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        with pytest.raises(InputError):
            load_config(str(path))


POSES = {
    "train": "images",
    "names": ["cat"],
    "kpt_shape": [2, 3],
    "flip_idx": [1, 0],
    "kpt_names": {0: ["a", "b"]},
}
LABELS = "0 0.5 0.5 0.5 0.5 0.5 0.5 2 0.25 0.5 1\n"


def use_yolo(description: bytes, labels: bytes) -> None:
    """Convert a YOLO dataset and load what comes out; nothing is written after an error."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for place, content in {
            "data.yaml": description,
            "images/1.png": PHOTO,
            "labels/1.txt": labels,
        }.items():
            (root / place).parent.mkdir(exist_ok=True)
            (root / place).write_bytes(content)
        try:
            (converted,) = yolo_to_coco(root / "data.yaml", root / "out")
        except InputError as error:
            assert str(error) and not (root / "out").exists()
        else:
            use_annotations(converted.json_file.read_text())


@fuzz
@given(st.sampled_from([path for path in paths_in(POSES) if path]), values)
def test_yolo_descriptions_with_a_value_that_does_not_belong_there(path, value):
    description = yaml.safe_dump(replaced(POSES, path, value))
    use_yolo(description.encode("utf-8", "surrogatepass"), LABELS.encode())


@fuzz
@given(edits, st.floats(0, 1), st.booleans())
def test_yolo_files_with_damaged_bytes(changes, keep, labels):
    contents = [yaml.safe_dump(POSES).encode(), LABELS.encode()]
    contents[labels] = damage(contents[labels], changes, keep)
    use_yolo(*contents)


keys = st.sampled_from(
    ["train.max_iter", "optimizer.lr", "model.pixel_mean", "train", "nothing", ""]
)


@functools.cache
def loaded() -> DictConfig:
    return load_config(str(ROOT / "configs/quick/synthetic.py"))


@fuzz
@given(keys, st.text(max_size=20))
def test_overrides(key, value):
    try:
        cfg = apply_overrides(copy.deepcopy(loaded()), [f"{key}={value}"])
        read_settings(TrainSettings, cfg.train, "train")
    except InputError as error:
        assert str(error)


@fuzz
@given(st.lists(values.map(json.dumps) | st.text(max_size=20), max_size=5))
def test_metrics_files(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.json"
        path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
        for iterations, numbers in read_series(path).values():
            assert len(iterations) == len(numbers) and (np.diff(iterations) > 0).all()
            assert np.isfinite(numbers).all()
        drop_rows(path, first=3)
        kept = path.read_text(encoding="utf-8").splitlines()
        assert all(json.loads(line)["iteration"] < 3 for line in kept)
