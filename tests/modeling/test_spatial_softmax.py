import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.modeling.spatial_softmax import SpatialSoftmax

SIDE = 12


def sample(seed: int, steepness: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (3, 2, S, S) logits and (3, 4) boxes."""
    generator = torch.Generator().manual_seed(seed)
    logits = steepness * torch.randn(3, 2, SIDE, SIDE, generator=generator)
    corner = 1000 * torch.rand(3, 2, generator=generator)
    size = 20 + 200 * torch.rand(3, 2, generator=generator)
    return logits, torch.cat([corner, corner + size], dim=1)


def cells_of(logits: torch.Tensor, boxes: torch.Tensor, r: int, k: int) -> tuple:
    """Return the (S * S,) probabilities and (S * S, 2) centres of one map, in float64."""
    p = logits[r, k].double().flatten().softmax(0).numpy()
    x0, y0, x1, y1 = boxes[r].double().tolist()
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    x = x0 + (columns + 0.5) * (x1 - x0) / SIDE
    y = y0 + (rows + 0.5) * (y1 - y0) / SIDE
    return p, np.stack([x, y], axis=1), np.array([(x1 - x0) / SIDE, (y1 - y0) / SIDE])


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_covariances_are_those_of_the_distribution(seed):
    logits, boxes = sample(seed)
    found = SpatialSoftmax.of(logits, boxes).covariances()
    assert found.shape == (3, 2, 2, 2)
    for r, k in np.ndindex(3, 2):
        p, centres, cell = cells_of(logits, boxes, r, k)
        expected = np.cov(centres.T, aweights=p, bias=True) + np.diag(cell**2 / 12)
        np.testing.assert_allclose(found[r, k], expected, rtol=1e-3, atol=1e-3)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_expected_similarity_is_the_mean_over_the_cells(seed):
    logits, boxes = sample(seed)
    points = boxes[:, None, :2] + 30
    points = points.expand(3, 2, 2)
    sigmas, areas = torch.tensor([0.03, 0.1]), torch.tensor([900.0, 2500.0, 100.0])
    found = SpatialSoftmax.of(logits, boxes).expected_similarity(points, sigmas, areas)
    for r, k in np.ndindex(3, 2):
        p, centres, _ = cells_of(logits, boxes, r, k)
        squared = ((centres - points[r, k].numpy()) ** 2).sum(axis=1)
        similarity = np.exp(-squared / (2 * (2 * float(sigmas[k])) ** 2 * float(areas[r])))
        assert found[r, k].item() == pytest.approx((p * similarity).sum(), abs=1e-5)


def test_probability_within_a_circle():
    """A tenth of the mass in one cell, the rest far away in another."""
    logits = torch.full((1, 1, SIDE, SIDE), -1e4)
    logits[0, 0, 3, 4] = np.log(0.1)
    logits[0, 0, 10, 11] = np.log(0.9)
    boxes = torch.tensor([[100.0, 200.0, 100 + 10 * SIDE, 200 + 10 * SIDE]])
    softmax = SpatialSoftmax.of(logits, boxes)
    point = torch.tensor([[[145.0, 235.0]]])  # the centre of column 4, row 3
    within = {
        radius: softmax.probability_within(point, torch.tensor([[float(radius)]])).item()
        for radius in (0, 2, 5, 50, 300)
    }
    assert within[0] == pytest.approx(0.05)  # half of the cell, as of any point
    assert within[0] < within[2] < within[5]
    assert within[5] == pytest.approx(0.1)
    assert within[50] == pytest.approx(0.1)
    assert within[300] == pytest.approx(1.0)


def test_nobody_and_boxes_without_area():
    softmax = SpatialSoftmax.of(torch.zeros(0, 2, SIDE, SIDE), torch.zeros(0, 4))
    assert softmax.covariances().shape == (0, 2, 2, 2)
    assert softmax.probability_within(torch.zeros(0, 2, 2), torch.zeros(0, 2)).shape == (0, 2)
    flat = SpatialSoftmax.of(torch.zeros(1, 2, SIDE, SIDE), torch.tensor([[5.0, 5, 5, 5]]))
    assert flat.covariances().isfinite().all()
    inside = flat.probability_within(torch.full((1, 2, 2), 5.0), torch.full((1, 2), 3.0))
    assert inside.tolist() == [[pytest.approx(1), pytest.approx(1)]]
