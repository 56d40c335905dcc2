"""Pooling as a weighted sum of rows against torchvision's ROIAlign."""

import pytest
import torch
from detectron2.config import instantiate
from detectron2.layers import ROIAlign
from detectron2.model_zoo import get_config
from hypothesis import given
from hypothesis import strategies as st

from pose_project.extras.cpu_inference.pooling import (
    ChannelsLastROIAlign,
    use_channels_last_pooling,
)

CHANNELS, HEIGHT, WIDTH, SCALE = 8, 20, 30, 1 / 8


def make_features(batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, CHANNELS, HEIGHT, WIDTH, generator=generator)


def make_rois(count: int, batch: int = 2, seed: int = 0) -> torch.Tensor:
    """Return boxes of a few to all pixels, some partly or wholly outside the photo."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, batch, (count, 1), generator=generator).float()
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([300.0, 220.0]) - 40
    size = 300 * torch.rand(count, 2, generator=generator) ** 2
    return torch.cat([index, corner, corner + size], dim=1)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
@pytest.mark.parametrize("output_size", [7, (3, 14)])
def test_same_features_as_torchvision(output_size, sampling_ratio, aligned):
    arguments = (output_size, SCALE, sampling_ratio, aligned)
    features, rois = make_features(), make_rois(60)
    expected = ROIAlign(*arguments)(features, rois)
    for layout in (torch.contiguous_format, torch.channels_last):
        pooled = ChannelsLastROIAlign(*arguments)(features.to(memory_format=layout), rois)
        torch.testing.assert_close(pooled, expected, atol=2e-5, rtol=1e-4)


@given(
    st.floats(-60, 300), st.floats(-60, 220), st.floats(0, 400), st.floats(0, 400), st.booleans()
)
def test_any_box(x, y, width, height, aligned):
    rois = torch.tensor([[0.0, x, y, x + width, y + height]])
    features = make_features(1)
    expected = ROIAlign(7, SCALE, 0, aligned)(features, rois)
    pooled = ChannelsLastROIAlign(7, SCALE, 0, aligned)(features, rois)
    torch.testing.assert_close(pooled, expected, atol=1e-4, rtol=1e-3)


def test_no_box_gives_no_features():
    pooled = ChannelsLastROIAlign(7, SCALE, 0)(make_features(), torch.zeros(0, 5))
    assert pooled.shape == (0, CHANNELS, 7, 7)


def test_many_samples_are_taken_in_parts(monkeypatch):
    features, rois = make_features(), make_rois(40)
    layer = ChannelsLastROIAlign(7, SCALE, 0)
    whole = layer(features, rois)
    monkeypatch.setattr("pose_project.extras.cpu_inference.pooling._MOST_WEIGHTS", 10)
    assert torch.equal(layer(features, rois), whole)


def test_same_gradients_as_torchvision():
    rois = make_rois(30)
    gradients = []
    for layer in (ROIAlign(7, SCALE, 0), ChannelsLastROIAlign(7, SCALE, 0)):
        features = make_features().requires_grad_()
        layer(features, rois).square().sum().backward()
        gradients.append(features.grad)
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_sums_in_float32_under_autocast():
    features, rois = make_features().bfloat16(), make_rois(30)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = ChannelsLastROIAlign(7, SCALE, 0)(features, rois)
    expected = ROIAlign(7, SCALE, 0)(features.float(), rois)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), expected, atol=1e-4, rtol=2**-8)


def test_every_pooler_of_a_model_is_replaced():
    heads = instantiate(get_config("common/models/keypoint_rcnn_fpn.py").model.roi_heads)
    use_channels_last_pooling(heads)
    layers = [each for each in heads.modules() if isinstance(each, ROIAlign)]
    assert len(layers) == 8  # four levels, for boxes and for keypoints
    assert all(isinstance(each, ChannelsLastROIAlign) for each in layers)
    assert [each.spatial_scale for each in layers[:4]] == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
