import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.extras.test_time.subpixel import refine_by_taylor

SIDE = 28


def parabola(x: float, y: float, tilt: float = 0.0) -> torch.Tensor:
    """Return a (1, 1, S, S) map whose logits are a parabola with its maximum at (x, y) cells."""
    centres = torch.arange(SIDE) + 0.5
    dx, dy = centres[None] - x, centres[:, None] - y
    return (-0.5 * dx**2 - 0.8 * dy**2 - tilt * dx * dy)[None, None]


@settings(max_examples=30)
@given(st.floats(2, SIDE - 2), st.floats(2, SIDE - 2), st.floats(-0.5, 0.5))
def test_the_maximum_of_a_parabola_is_found_between_the_cells(x, y, tilt):
    box = torch.tensor([[100.0, 50.0, 100 + 2.0 * SIDE, 50 + 4.0 * SIDE]])
    found = refine_by_taylor(parabola(x, y, tilt), box)[0, 0]
    assert found.tolist() == pytest.approx([100 + 2 * x, 50 + 4 * y], abs=0.02)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_mirrored_maps_give_mirrored_points_within_a_cell_of_the_highest(seed):
    logits = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    box = torch.tensor([[0.0, 0.0, SIDE, SIDE]] * 2)
    points = refine_by_taylor(logits, box)
    mirrored = refine_by_taylor(logits.flip(-1), box)
    torch.testing.assert_close(mirrored[..., 0], SIDE - points[..., 0], atol=1e-4, rtol=0)
    torch.testing.assert_close(mirrored[..., 1], points[..., 1], atol=1e-4, rtol=0)
    highest = logits.flatten(2).argmax(dim=2)
    cells = torch.stack([highest % SIDE, highest // SIDE], dim=2) + 0.5
    assert (points - cells).abs().max() <= 1


def test_on_the_border_and_on_a_ridge_the_cell_stays():
    box = torch.tensor([[0.0, 0.0, SIDE, SIDE]])
    corner = torch.zeros(1, 1, SIDE, SIDE)
    corner[0, 0, 0, SIDE - 1] = 1
    assert refine_by_taylor(corner, box)[0, 0].tolist() == [SIDE - 0.5, 0.5]
    ridge = torch.zeros(1, 1, SIDE, SIDE)
    ridge[0, 0, 5] = 1  # a line: no maximum along it
    assert refine_by_taylor(ridge, box)[0, 0, 1].item() == 5.5
    assert refine_by_taylor(torch.zeros(0, 2, SIDE, SIDE), torch.zeros(0, 4)).shape == (0, 2, 2)
