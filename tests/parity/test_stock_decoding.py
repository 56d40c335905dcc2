"""The models of Detectron2 and torchvision with our decoding in place of theirs."""

import contextlib

import detectron2.structures
import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import keypoint_head as detectron2_head
from detectron2.structures import Boxes, Instances
from torchvision.models.detection import KeypointRCNN
from torchvision.models.detection import roi_heads as torchvision_heads
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from pose_project.modeling import patch_stock_decoding, stock_decoding


@pytest.fixture
def calls(monkeypatch):
    """How many times our decoding was called."""
    counted = []
    ours = stock_decoding.decode_heatmaps
    monkeypatch.setattr(
        stock_decoding, "decode_heatmaps", lambda *given: counted.append(1) or ours(*given)
    )
    return counted


def random_boxes(count: int) -> torch.Tensor:
    corner = torch.rand(count, 2) * 100
    return torch.cat([corner, corner + 0.3 + torch.rand(count, 2) * 200], dim=1)


@pytest.mark.parametrize("counts", [(3, 0, 4), (0,)])
def test_detectron2_head(calls, counts):
    torch.manual_seed(0)
    shape = ShapeSpec(channels=8, height=14, width=14)
    head = detectron2_head.KRCNNConvDeconvUpsampleHead(shape, num_keypoints=5, conv_dims=[8]).eval()
    features = torch.randn(sum(counts), 8, 14, 14) * 20
    boxes = [Boxes(random_boxes(count)) for count in counts]

    def run() -> list[Instances]:
        with torch.no_grad():
            return head(features, [Instances((400, 400), pred_boxes=each) for each in boxes])

    stock = run()
    assert not calls
    with patch_stock_decoding():
        patched = run()
    assert calls
    for ours, theirs in zip(patched, stock, strict=True):
        torch.testing.assert_close(ours.pred_keypoints, theirs.pred_keypoints, rtol=1e-4, atol=1e-4)


def test_detectron2_keeps_the_dtype():
    logits, boxes = torch.randn(2, 5, 28, 28).half(), random_boxes(2)
    stock = detectron2_head.heatmaps_to_keypoints(logits.float(), boxes)
    with patch_stock_decoding():
        decoded = detectron2_head.heatmaps_to_keypoints(logits, boxes)
    assert decoded.dtype == torch.float16
    torch.testing.assert_close(decoded, stock.half(), rtol=2e-3, atol=0)


def test_torchvision_model(calls):
    torch.manual_seed(0)
    model = KeypointRCNN(
        resnet_fpn_backbone(backbone_name="resnet18", weights=None),
        num_classes=2,
        num_keypoints=5,
        box_score_thresh=0.0,
        box_detections_per_img=6,
        rpn_post_nms_top_n_test=20,
        min_size=96,
        max_size=128,
    ).eval()
    photos = [torch.rand(3, 96, 128), torch.rand(3, 90, 70)]
    with torch.no_grad():
        stock = model(photos)
        with patch_stock_decoding():
            patched = model(photos)
    assert len(calls) == 2  # once for each photo
    for ours, theirs in zip(patched, stock, strict=True):
        assert len(theirs["keypoints"]) > 0
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-3)
            assert ours[name].dtype == theirs[name].dtype


@pytest.mark.parametrize("count", [0, 7])
def test_torchvision_function(count):
    torch.manual_seed(0)
    logits, boxes = torch.randn(count, 17, 56, 56), random_boxes(count)
    points, scores = torchvision_heads.heatmaps_to_keypoints(logits, boxes)
    with patch_stock_decoding():
        our_points, our_scores = torchvision_heads.heatmaps_to_keypoints(logits, boxes)
    torch.testing.assert_close(our_points, points, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(our_scores, scores, rtol=1e-4, atol=1e-4)


def test_everything_is_undone_even_after_an_error():
    before = detectron2_head.heatmaps_to_keypoints, torchvision_heads.heatmaps_to_keypoints
    with contextlib.suppress(RuntimeError), patch_stock_decoding():
        with patch_stock_decoding():
            pass
        assert detectron2_head.heatmaps_to_keypoints is not before[0]
        assert torchvision_heads.heatmaps_to_keypoints is not before[1]
        raise RuntimeError
    after = detectron2_head.heatmaps_to_keypoints, torchvision_heads.heatmaps_to_keypoints
    assert after == before


def test_importing_changes_nothing():
    """What this file imports includes all of ``pose_project.modeling``."""
    assert detectron2_head.heatmaps_to_keypoints is detectron2.structures.heatmaps_to_keypoints
    torchvisions = torchvision_heads.heatmaps_to_keypoints
    assert torchvisions.__code__.co_filename == torchvision_heads.__file__
