import numpy as np
import pytest

from pose_project.extras.pictures.heatmap import overlay_heatmap

GREY = np.full((60, 80, 3), 100, np.uint8)


def peak(column: int, row: int, side: int = 14) -> np.ndarray:
    logits = np.zeros((side, side), np.float32)
    logits[row, column] = 12
    return logits


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_the_brightest_spot_is_where_the_keypoint_is(scale):
    box = np.array([[10.0, 5, 66, 47]])  # cells of 4 x 3 pixels
    drawn = overlay_heatmap(GREY, box, peak(6, 9)[None], scale).astype(float)
    assert drawn.shape == (round(60 * scale), round(80 * scale), 3)
    row, column = np.unravel_index(drawn[..., 0].argmax(), drawn.shape[:2])
    assert column / scale == pytest.approx(10 + 6.5 * 4, abs=2)
    assert row / scale == pytest.approx(5 + 9.5 * 3, abs=2)
    assert (drawn[: int(4 * scale)] == 100).all()  # above the box nothing is drawn


def test_boxes_beyond_the_photo_and_nobody():
    outside = np.array([[-50.0, -50, -20, -20], [70, 50, 120, 90], [5, 5, 5, 5]])
    drawn = overlay_heatmap(GREY, outside, np.stack([peak(3, 3)] * 3))
    assert drawn.shape == GREY.shape
    assert (overlay_heatmap(GREY, np.zeros((0, 4)), np.zeros((0, 14, 14))) == GREY).all()


def test_the_higher_of_two_people_shows():
    boxes = np.array([[0.0, 0, 56, 56], [0, 0, 56, 56]])
    both = overlay_heatmap(GREY, boxes, np.stack([peak(3, 3), peak(10, 10)])).astype(int)
    for column, row in ((3, 3), (10, 10)):
        spot = both[row * 4 + 2, column * 4 + 2]
        assert np.abs(spot - 100).max() > 80
