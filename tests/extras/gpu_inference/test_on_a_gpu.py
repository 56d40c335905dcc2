"""Inference on a CUDA device: the CPU's people, few waits, and graphs that change nothing."""

import copy
from typing import Any

import pytest
import torch
from detectron2.structures import Instances
from helpers.models import make_model, make_photos
from torch import nn

from benchmarks.compare import without_tf32
from benchmarks.gpu_counts import lines_that_wait
from pose_project.extras.gpu_inference.cuda_graphs import GraphCache
from pose_project.modeling import decode_heatmaps, keypoint_loss
from pose_project.modeling.acceleration import FastInference, InferenceSettings
from pose_project.modeling.test_time import TestTimeModel, TestTimeSettings
from pose_project.structures import COCO_PERSON

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return make_model()


@torch.no_grad()
def detect(model: nn.Module, photos: list[dict[str, Any]]) -> list[Instances]:
    with without_tf32():
        return [each["instances"].to("cpu") for each in model(photos)]


def assert_same(found: list[Instances], expected: list[Instances], exactly: bool) -> None:
    tolerance = dict(atol=0, rtol=0) if exactly else dict(atol=0.02, rtol=1e-4)
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs) > 0
        boxes = ours.pred_boxes.tensor, theirs.pred_boxes.tensor
        torch.testing.assert_close(*boxes, **tolerance)
        torch.testing.assert_close(ours.scores, theirs.scores, **tolerance)
        moved = (ours.pred_keypoints - theirs.pred_keypoints)[..., :2].norm(dim=2)
        # a map of random weights may have two peaks that tie within rounding
        assert (moved > tolerance["atol"]).float().mean() < 0.01


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_the_people_of_the_cpu(model, cuda_graphs):
    photos = make_photos()
    expected = detect(FastInference(model), photos)
    fast = FastInference(copy.deepcopy(model).cuda(), InferenceSettings(cuda_graphs=cuda_graphs))
    for _ in range(4):
        assert_same(detect(fast, photos), expected, exactly=False)
    assert (len(fast.model.graphs.calls) == 2) == cuda_graphs


def test_a_graph_sees_each_photo_anew(model):
    gpu = copy.deepcopy(model).cuda()
    eager, fast = FastInference(gpu, InferenceSettings(cuda_graphs=False)), FastInference(gpu)
    (first, second) = ([each] for each in (make_photos(256)[0], make_photos(256, 256)[1]))
    for photo in (first, second, first, second, first):
        assert_same(detect(fast, photo), detect(eager, photo), exactly=False)
    assert fast.model.graphs.calls


@pytest.mark.parametrize("test_time", [{"flip": True}, {"scales": [0.7]}, {"temperature": 1.0}])
def test_test_time_switches(model, test_time):
    better = TestTimeModel(model, COCO_PERSON, TestTimeSettings(**test_time))
    gpu = TestTimeModel(copy.deepcopy(model).cuda(), COCO_PERSON, TestTimeSettings(**test_time))
    photos = make_photos()
    expected = detect(FastInference(better), photos)
    fast = FastInference(gpu)
    for _ in range(4):
        assert_same(detect(fast, photos), expected, exactly=False)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_low_precision_records_graphs_too(model, dtype):
    fast = FastInference(copy.deepcopy(model).cuda(), InferenceSettings(dtype=dtype))
    first, *_, last = [detect(fast, make_photos()) for _ in range(4)]
    assert fast.model.graphs.calls
    assert_same(last, first, exactly=False)


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_waits_of_a_photo(model, cuda_graphs):
    fast = FastInference(copy.deepcopy(model).cuda(), InferenceSettings(cuda_graphs=cuda_graphs))
    photos = make_photos(256)
    for _ in range(4):
        detect(fast, photos)
    assert lines_that_wait(lambda: detect(fast, photos)).total() <= 2


def test_what_cannot_be_recorded_runs_as_usual(caplog):
    cache = GraphCache(2, is_on=True)
    x = torch.ones(3, device="cuda")

    def waits(x: torch.Tensor) -> torch.Tensor:
        return x * x.sum().item()

    for _ in range(3):
        assert cache.get("key", waits, x)(x).tolist() == [3.0, 3.0, 3.0]
    assert not cache.calls and not cache.is_on
    assert "No CUDA graphs" in caplog.text


def test_the_number_of_graphs_is_bounded():
    cache = GraphCache(2, is_on=True)
    for size in (3, 4, 5) * 3:
        x = torch.full((size,), float(size), device="cuda")
        assert cache.get(size, torch.square, x)(x).tolist() == [float(size**2)] * size
    assert set(cache.calls) == {3, 4}


@pytest.mark.parametrize("is_on_host", [False, True])
@pytest.mark.parametrize("largest", [60, 800])
def test_decoding_agrees_with_the_cpu(is_on_host, largest):
    generator = torch.Generator().manual_seed(0)
    logits = 30 * torch.randn(40, 17, 56, 56, generator=generator)
    logits = nn.functional.avg_pool2d(logits, 5, 1, 2)
    corner = 100 * torch.rand(40, 2, generator=generator)
    sides = 20 + largest * torch.rand(40, 2, generator=generator)
    boxes = torch.cat([corner, corner + sides], dim=1)
    expected = decode_heatmaps(logits, boxes)
    found = decode_heatmaps(logits.cuda(), boxes if is_on_host else boxes.cuda()).cpu()
    moved = (found - expected)[..., :2].abs().amax(dim=-1) > 1e-2
    assert moved.float().mean() < 0.002  # ties within float32 rounding
    on_gpu = logits.cuda()
    assert not lines_that_wait(lambda: decode_heatmaps(on_gpu, boxes))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_loss_of_the_cpu(share):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 17, 8, 8, generator=generator)
    logits[0, 0] = torch.inf
    targets = torch.randint(64, (5, 17), generator=generator)
    valid = torch.rand(5, 17, generator=generator) < share
    valid[0, 0] = False
    given = logits.requires_grad_(), logits.detach().cuda().requires_grad_()
    losses = [
        keypoint_loss(each, targets.to(each.device), valid.to(each.device), 3.0) for each in given
    ]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(losses[1].cpu(), losses[0])
    torch.testing.assert_close(given[1].grad.cpu(), given[0].grad)
