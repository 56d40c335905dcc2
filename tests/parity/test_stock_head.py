"""Our head against Detectron2's, on equal weights and inputs."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads.keypoint_head import (
    KRCNNConvDeconvUpsampleHead,
    keypoint_rcnn_loss,
)
from detectron2.structures import Boxes, Instances, Keypoints, heatmaps_to_keypoints

from pose_project.modeling import (
    SpatialSoftmaxKeypointHead,
    decode_heatmaps,
    encode_keypoints,
    keypoint_loss,
)

SHAPE = ShapeSpec(channels=16, height=14, width=14)
ARGUMENTS = {"num_keypoints": 17, "conv_dims": [32, 32], "loss_normalizer": "visible"}


@pytest.fixture
def heads():
    torch.manual_seed(0)
    stock = KRCNNConvDeconvUpsampleHead(SHAPE, **ARGUMENTS)
    ours = SpatialSoftmaxKeypointHead(SHAPE, **ARGUMENTS)
    ours.load_state_dict(stock.state_dict(), strict=True)
    return stock, ours


def random_boxes(count: int) -> torch.Tensor:
    corner = torch.rand(count, 2) * 100
    return torch.cat([corner, corner + 1 + torch.rand(count, 2) * 200], dim=1)


def random_keypoints(boxes: torch.Tensor) -> torch.Tensor:
    """Points around their boxes, some outside, with every visibility."""
    share = torch.rand(len(boxes), 17, 2) * 1.4 - 0.2
    points = boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]
    return torch.cat([points, torch.randint(0, 3, (len(boxes), 17, 1)).float()], dim=2)


@pytest.mark.parametrize("normalizer", ["visible", 4.0])
def test_same_loss_and_gradients(heads, storage, normalizer):
    stock, ours = heads
    stock.loss_normalizer = ours.loss_normalizer = normalizer
    features = torch.randn(10, 16, 14, 14)
    instances = []
    for count in (4, 6):
        each = Instances((400, 400), proposal_boxes=Boxes(random_boxes(count)))
        each.gt_keypoints = Keypoints(random_keypoints(each.proposal_boxes.tensor))
        instances.append(each)
    losses = [head(features, instances)["loss_keypoint"] for head in heads]
    torch.testing.assert_close(losses[1], losses[0])
    for loss in losses:
        loss.backward()
    for (name, expected), (_, actual) in zip(
        stock.named_parameters(), ours.named_parameters(), strict=True
    ):
        torch.testing.assert_close(actual.grad, expected.grad, msg=name)


def test_same_keypoints(heads):
    features, boxes = torch.randn(10, 16, 14, 14), random_boxes(10)
    results = []
    for head in heads:
        people = Instances((400, 400), pred_boxes=Boxes(boxes.clone()))
        results.append(head.eval()(features, [people[:3], people[3:]]))
    for expected, actual in zip(*results, strict=True):
        torch.testing.assert_close(actual.pred_keypoints, expected.pred_keypoints)


@pytest.mark.parametrize("side", [28, 56])
@pytest.mark.parametrize("kind", ["noise", "peaks"])
def test_same_decoding(side, kind):
    torch.manual_seed(side)
    boxes = torch.cat([random_boxes(30), torch.tensor([[5.0, 5.0, 5.2, 5.1]])])
    logits = torch.randn(31, 17, side, side)
    if kind == "peaks":
        logits = torch.nn.functional.avg_pool2d(logits * 30, 5, 1, 2)
    expected = heatmaps_to_keypoints(logits, boxes)
    actual = decode_heatmaps(logits, boxes)
    torch.testing.assert_close(actual[..., 2:], expected[..., 2:], rtol=1e-4, atol=1e-5)
    moved = (actual[..., :2] - expected[..., :2]).abs().amax(-1) > 1e-3
    assert moved.float().mean() < 0.002  # ties within float32 rounding


def test_same_targets():
    torch.manual_seed(0)
    boxes = random_boxes(200)
    keypoints = random_keypoints(boxes)
    expected, expected_valid = Keypoints(keypoints).to_heatmap(boxes, 56)
    targets, valid = encode_keypoints(keypoints, boxes, 56)
    assert torch.equal(valid, expected_valid.bool())
    assert torch.equal(targets, expected)


def test_stock_decoding_loses_pixels_in_bfloat16_and_ours_does_not():
    """Why decoding is in float32: the fault in the stock function that this guards against."""
    torch.manual_seed(0)
    logits = torch.nn.functional.avg_pool2d(torch.randn(5, 17, 56, 56) * 30, 9, 1, 4).bfloat16()
    boxes = random_boxes(5)
    exact = decode_heatmaps(logits.float(), boxes)
    torch.testing.assert_close(decode_heatmaps(logits, boxes), exact)
    with torch.autocast("cpu", torch.bfloat16):  # which turns matrix products into bfloat16
        torch.testing.assert_close(decode_heatmaps(logits, boxes), exact)
    stock = heatmaps_to_keypoints(logits, boxes.bfloat16()).float()
    assert (stock - exact)[..., :2].abs().max() > 0.5


def test_stock_loss_turns_infinite_logits_into_nan_and_ours_does_not(storage):
    logits = torch.full((1, 17, 28, 28), torch.inf)
    people = Instances((50, 50), proposal_boxes=Boxes(torch.tensor([[0.0, 0.0, 9.0, 9.0]])))
    people.gt_keypoints = Keypoints(torch.zeros(1, 17, 3))
    assert torch.isnan(keypoint_rcnn_loss(logits, [people], normalizer=None))
    none = torch.zeros(1, 17).bool()
    assert keypoint_loss(logits, torch.zeros(1, 17).long(), none, 1.0) == 0
