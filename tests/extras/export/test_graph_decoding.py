"""The loop that can be traced finds the pixels that the search finds."""

import pytest
import torch

from pose_project.extras.export.graph_decoding import bicubic_rows, decode_in_graph
from pose_project.modeling import decode_heatmaps


@pytest.mark.parametrize("length", [1, 3, 28, 57, 200])
@pytest.mark.parametrize("side", [28, 56])
def test_rows_enlarge_as_torch_does(length, side):
    values = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(
        values, size=(length, side), mode="bicubic", align_corners=False
    )
    padded = torch.nn.functional.pad(values, (0, 0, 2, 2), mode="replicate")
    found = bicubic_rows(torch.tensor(float(length)), side) @ padded
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("people", [0, 1, 7])
def test_same_points(people):
    generator = torch.Generator().manual_seed(people)
    logits = torch.randn(people, 3, 56, 56, generator=generator)
    corner = torch.rand(people, 2, generator=generator) * 100
    size = torch.tensor([0.3, 400.0]).lerp(torch.tensor(90.0), torch.rand(people, 2))
    boxes = torch.cat([corner, corner + size], dim=1)
    found = decode_in_graph(logits, boxes)
    expected = decode_heatmaps(logits, boxes)[..., [0, 1, 3]]
    assert found.shape == (people, 3, 3)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
