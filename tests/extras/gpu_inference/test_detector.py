"""Detection in fixed shapes: the same people, and nothing that a GPU would wait for."""

from typing import Any

import pytest
import torch
from detectron2.config import instantiate
from detectron2.structures import Instances
from helpers.models import make_model, make_photos
from helpers.narrow import narrow_config
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.ops import nms

from pose_project.engine import load_config
from pose_project.extras.gpu_inference import parallel_nms
from pose_project.extras.gpu_inference.detector import FixedShapeDetector, has_fixed_shape
from pose_project.extras.gpu_inference.parallel_nms import suppress
from pose_project.extras.gpu_inference.rcnn import FixedShapeRCNN, sizes_whwh_of
from pose_project.extras.test_time.multi_view import MultiViewRCNN, preprocess
from pose_project.modeling.acceleration import FastInference
from pose_project.modeling.test_time import TestTimeModel, TestTimeSettings
from pose_project.structures import COCO_PERSON

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")


class NoWaits(TorchDispatchMode):
    """Fails at what would make a host wait for its GPU; counts everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[str, tuple[int, ...]]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        assert not name.startswith(WAITS), f"{name} waits"
        if name.startswith("index"):
            masks = [each for each in args[1] if each is not None and each.dtype == torch.bool]
            assert not masks, f"{name} with a mask waits"
        output = function(*args, **(kwargs or {}))
        if isinstance(output, torch.Tensor):
            self.shapes.append((name, tuple(output.shape)))
        return output


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return make_model()


@torch.no_grad()
def detect(model: nn.Module, photos: list[dict[str, Any]]) -> list[Instances]:
    return [each["instances"] for each in model(photos)]


def assert_same(found: list[Instances], expected: list[Instances]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs) > 0
        assert ours.image_size == theirs.image_size
        assert ours.get_fields().keys() == theirs.get_fields().keys()
        assert torch.equal(ours.pred_classes, theirs.pred_classes)
        boxes = ours.pred_boxes.tensor, theirs.pred_boxes.tensor
        torch.testing.assert_close(*boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-5, rtol=0)
        if theirs.has("pred_keypoints"):
            points = ours.pred_keypoints, theirs.pred_keypoints
            torch.testing.assert_close(*points, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "num_classes"),
    [
        ("configs/quick/synthetic.py", 1),
        ("configs/quick/synthetic.py", 3),
        ("configs/quick/faster_synthetic.py", 1),  # boxes alone
    ],
)
def test_the_same_people(config, num_classes):
    model = make_model(config, num_classes)
    photos = make_photos()
    assert_same(detect(FixedShapeRCNN(model, False), photos), detect(model, photos))


def test_masks_come_along():
    model, photos = make_model("configs/quick/mask_synthetic.py"), make_photos()
    found, expected = detect(FixedShapeRCNN(model, False), photos), detect(model, photos)
    assert_same(found, expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.pred_masks == theirs.pred_masks).float().mean() > 0.999


def test_torchvision_s_parts():
    cfg = narrow_config("torchvision_keypoint_rcnn_R50_FPN.py")
    torch.manual_seed(0)
    model = instantiate(cfg.model).eval()
    assert has_fixed_shape(model)
    predictor = model.roi_heads.box_predictor
    predictor.test_score_thresh, predictor.test_topk_per_image = 0.0, 5
    photos = make_photos(224)
    assert_same(detect(FixedShapeRCNN(model, False), photos), detect(model, photos))


def test_other_models_stay_as_they_are():
    cfg = load_config("configs/quick/fast_synthetic.py")
    assert not has_fixed_shape(instantiate(cfg.model))
    assert not has_fixed_shape(nn.Linear(1, 1))


def test_nobody(model):
    predictor = model.roi_heads.box_predictor
    before, predictor.test_score_thresh = predictor.test_score_thresh, 1.0
    found = detect(FixedShapeRCNN(model, False), make_photos())
    predictor.test_score_thresh = before
    assert [len(each) for each in found] == [0, 0]
    assert found[0].pred_keypoints.shape == (0, 17, 3)


def test_nothing_waits_and_no_shape_depends_on_the_photo(model):
    detector = FixedShapeDetector(model)
    shapes = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        image = torch.randint(0, 256, (3, 192, 256), dtype=torch.uint8)
        images = preprocess(model, [{"image": image}])
        sizes = sizes_whwh_of(images)
        with torch.no_grad(), NoWaits() as mode:
            features = model.backbone(images.tensor)
            detector(features, detector.pooling_maps(features), sizes)
        shapes.append(mode.shapes)
    anchors_are_known = len(shapes[0]) - len(shapes[1])
    assert shapes[0][-300 + anchors_are_known :] == shapes[1][-300 + anchors_are_known :]


def test_photos_that_do_not_settle_are_looked_at_again(model, monkeypatch):
    photos = make_photos()
    expected = detect(model, photos)
    monkeypatch.setattr(parallel_nms, "_STEPS", 1)
    assert_same(detect(FixedShapeRCNN(model, False), photos), expected)


@pytest.mark.parametrize(
    "test_time",
    [
        {"flip": True},
        {"scales": [0.7], "temperature": 1.5},
        {"subpixel": True, "rescore": True, "oks_nms": 0.5},
    ],
)
def test_test_time_switches_are_the_same(model, test_time):
    better = TestTimeModel(model, COCO_PERSON, TestTimeSettings(**test_time))
    photos = make_photos()
    expected = detect(better, photos)
    if isinstance(better.model, MultiViewRCNN):
        better.model.detector = FixedShapeDetector(better.model.model)
    else:
        better.model = FixedShapeRCNN(better.model, False)
    found = detect(better, photos)
    assert_same(found, expected)
    for name in set(expected[0].get_fields()) - {"pred_boxes"}:
        ours, theirs = found[0].get(name), expected[0].get(name)
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_a_cpu_keeps_its_own_way(model):
    assert type(FastInference(model).model) is type(model)


# --- suppression ---


def random_boxes(count: int, seed: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = spread * torch.rand(count, 2, generator=generator)
    boxes = torch.cat([corner, corner + 20 * torch.rand(count, 2, generator=generator)], dim=1)
    return boxes, torch.rand(count, generator=generator).sort(descending=True).values


@pytest.mark.parametrize("count", [0, 1, 300])
@pytest.mark.parametrize("spread", [10.0, 60.0])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_suppression_is_torchvision_s(count, spread, threshold):
    groups = [random_boxes(count, seed, spread) for seed in range(3)]
    boxes = torch.stack([each for each, _ in groups])
    is_candidate = torch.rand(3, count, generator=torch.Generator().manual_seed(9)) < 0.8
    keep, is_settled = suppress(boxes, is_candidate, threshold)
    assert is_settled
    for group, (of_group, scores) in enumerate(groups):
        (given,) = is_candidate[group].nonzero(as_tuple=True)
        expected = given[nms(of_group[given], scores[given], threshold)]
        assert keep[group].nonzero()[:, 0].tolist() == sorted(expected.tolist())


def test_a_long_chain_is_told():
    x = torch.arange(60.0)
    chain = torch.stack([x, 0 * x, x + 2.5, 0 * x + 1], dim=1)[None]  # each overlaps the next
    keep, is_settled = suppress(chain, torch.ones(1, 60, dtype=torch.bool), 0.3)
    assert not is_settled
    keep, is_settled = suppress(chain[:, :8], torch.ones(1, 8, dtype=torch.bool), 0.3)
    assert is_settled
    assert keep[0].tolist() == [True, False] * 4


def test_suppression_in_parts(monkeypatch):
    boxes = torch.stack([random_boxes(50, seed, 30.0)[0] for seed in range(5)])
    given = torch.ones(5, 50, dtype=torch.bool)
    whole, _ = suppress(boxes, given, 0.5)
    monkeypatch.setattr(parallel_nms, "_PAIRS_AT_ONCE", 2 * 50**2)
    parts, is_settled = suppress(boxes, given, 0.5)
    assert is_settled
    assert torch.equal(parts, whole)
