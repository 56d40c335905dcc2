"""What breaks when a private part of Detectron2 or PyTorch changes, and that no other is used."""

import ast
import functools
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.engine import DefaultTrainer, SimpleTrainer
from detectron2.evaluation import COCOEvaluator
from detectron2.utils.registry import locate
from helpers.repository import ROOT
from PIL import Image, ImageOps
from torch import nn

from pose_project.config.loading import load_config
from pose_project.engine import PoseTrainer
from pose_project.utils.private_api import (
    INHERITED,
    add_masks,
    default_store,
    find_boxes,
    shared_storage,
    to_original_size,
    upright,
)

# Named with an underscore, but described in their libraries' documentation.
DOCUMENTED = {"_asdict", "_current_frames", "_exit", "_fields", "_replace"}


def private_names_of(path: Path) -> set[str]:
    """Return the private names that a module takes from outside of its folder."""
    own = set().union(*(names_in(sibling)[0] for sibling in path.parent.glob("*.py")))
    used = names_in(path)[1]
    return {name for name in used - own if name.startswith("_") and not name.startswith("__")}


@functools.cache  # every module is its siblings' sibling
def names_in(path: Path) -> tuple[set[str], set[str]]:
    """Return the names of functions and attributes that a module makes, and those that it uses."""
    own: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            own.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
            if isinstance(node.ctx, ast.Store):
                own.add(node.attr)
    return own, used


def test_no_other_module_takes_private_parts():
    inherited = {name for members in INHERITED.values() for name in members}
    found = {}
    for folder in ("pose_project", "benchmarks", "tools", "configs"):
        for path in (ROOT / folder).rglob("*.py"):
            names = private_names_of(path) - inherited - DOCUMENTED
            if names and path.name != "private_api.py":
                found[str(path.relative_to(ROOT))] = names
    assert found == {}


def test_private_parts_are_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("from x import _a\nself._own = 1\nself._own.b._c()\nself._d = 2\n")
    assert private_names_of(path) == {"_a", "_c"}


@pytest.mark.parametrize("owner", INHERITED)
def test_inherited_members_are_of_classes_that_exist(owner):
    assert isinstance(locate(owner), type)


def _fill(queue) -> None:
    queue.get()[:] = 7


def test_shared_storage_is_seen_by_another_process():
    block = torch.empty(0, dtype=torch.uint8)
    block.set_(shared_storage(16))
    assert block.shape == (16,) and block.is_shared()
    context = torch.multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    queue.put(block)
    child = context.Process(target=_fill, args=(queue,))
    child.start()
    child.join()
    assert (block == 7).all()


def test_default_store_is_that_of_the_process_group():
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        before = store.num_keys()
        default_store().set("key", "value")
        assert default_store().get("key") == b"value"
        assert store.num_keys() == before + 1
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_their_exif_data_say(orientation):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(image)
    assert np.array_equal(np.asarray(upright(image)), np.asarray(expected))


def test_damaged_exif_data_turn_nothing():
    image = Image.new("RGB", (6, 4))
    image.info["exif"] = b"Exif\x00\x00damaged"
    assert upright(image).size == (6, 4)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    cfg = load_config(
        str(ROOT / "configs/quick/mask_synthetic.py"),
        [
            "train.device=cpu",
            "model.roi_heads.box_predictor.test_score_thresh=0.0",
            "model.roi_heads.box_predictor.test_topk_per_image=4",
        ],
    )
    torch.manual_seed(0)
    return PoseTrainer.build_model(cfg).eval()


@torch.no_grad()
def test_the_parts_of_a_model_make_what_the_whole_makes(model):
    """Boxes, then masks, then keypoints, then the image's own pixels, is what ``forward`` does."""
    photo = torch.randint(0, 256, (3, 64, 96), generator=torch.manual_seed(1), dtype=torch.uint8)
    inputs = [{"image": photo, "height": 128, "width": 288}]
    (expected,) = model(inputs)
    images = model.preprocess_image(inputs)
    features = model.backbone(images.tensor)
    proposals, _ = model.proposal_generator(images, features, None)
    heads = model.roi_heads
    instances = find_boxes(heads, features, proposals)
    assert not instances[0].has("pred_masks") and not instances[0].has("pred_keypoints")
    instances = add_masks(heads, features, instances)
    assert instances[0].has("pred_masks") and not instances[0].has("pred_keypoints")
    keypoint_features = [features[name] for name in heads.keypoint_in_features]
    boxes = [each.pred_boxes for each in instances]
    heads.keypoint_head(heads.keypoint_pooler(keypoint_features, boxes), instances)
    (found,) = to_original_size(model, instances, inputs, images)
    found, expected = found["instances"], expected["instances"]
    assert found.image_size == (128, 288) and len(found) > 0
    assert torch.equal(found.pred_boxes.tensor, expected.pred_boxes.tensor)
    assert torch.equal(found.pred_masks, expected.pred_masks)
    assert torch.equal(found.pred_keypoints, expected.pred_keypoints)


def test_a_simple_trainer_takes_batches_from_its_iterator():
    layer = nn.Linear(1, 1)
    trainer = SimpleTrainer(layer, [1, 2], torch.optim.SGD(layer.parameters(), lr=0.1))
    assert [next(trainer._data_loader_iter), next(trainer._data_loader_iter)] == [1, 2]


def test_a_default_trainer_hands_steps_and_attributes_on():
    class Step:
        model, data_loader, optimizer = "model", "loader", "optimizer"
        steps = 0

        def run_step(self) -> None:
            self.steps += 1

    trainer = DefaultTrainer.__new__(DefaultTrainer)
    trainer._trainer, trainer.iter = Step(), 3
    trainer.run_step()
    assert (trainer._trainer.steps, trainer._trainer.iter) == (1, 3)
    shown = (trainer.model, trainer.data_loader, trainer.optimizer)
    assert shown == ("model", "loader", "optimizer")


def test_an_evaluator_that_is_reset_has_no_predictions():
    evaluator = COCOEvaluator.__new__(COCOEvaluator)
    evaluator._predictions = ["of the evaluation before"]
    evaluator.reset()
    assert evaluator._predictions == []


def test_a_checkpointer_reads_and_fills_by_two_methods(tmp_path):
    calls = []

    class Checkpointer(DetectionCheckpointer):
        def _load_file(self, filename: str) -> dict:
            calls.append(filename)
            weights = {"weight": np.ones((1, 2), np.float32), "other": np.ones(1)}
            return {"model": weights}

        def _load_model(self, checkpoint: dict) -> object:
            calls.append(super()._load_model(checkpoint))
            return calls[-1]

    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({}))
    Checkpointer(nn.Linear(2, 1)).load(str(path))
    file, unfit = calls
    assert file == str(path)
    assert (unfit.missing_keys, unfit.unexpected_keys) == (["bias"], ["other"])
    assert unfit.incorrect_shapes == []
