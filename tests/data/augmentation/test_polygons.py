import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.data.augmentation.polygons import (
    area,
    clip_polygon,
    inscribed_ellipse,
    is_inside,
    rectangle,
    tight_box,
)

WINDOW = rectangle((40, 60))


def drawn(polygons, side: int = 100, shift: int = 20) -> np.ndarray:
    """Polygons as OpenCV fills them, in a picture that reaches 20 px beyond the window."""
    canvas = np.zeros((side, side), np.uint8)
    for each in polygons:
        cv2.fillPoly(canvas, [np.rint(each + shift).astype(np.int32)], 1)
    return canvas


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        ([[10, 10], [20, 10], [20, 30], [10, 30]], [10, 10, 20, 30]),
        ([[-10, -10], [20, -10], [20, 30], [-10, 30]], [0, 0, 20, 30]),
        ([[-5, -5], [70, -5], [70, 50], [-5, 50]], [0, 0, 60, 40]),
        ([[70, 0], [90, 0], [90, 30]], None),
        ([[50, -10], [70, -10], [70, 10]], None),  # beside the corner: touches it in no pixel
    ],
    ids=["inside", "corner", "larger", "outside", "past the corner"],
)
@pytest.mark.parametrize("turn", [1, -1], ids=["clockwise", "counter-clockwise"])
def test_box_by_hand(polygon, expected, turn):
    box = tight_box([np.array(polygon, dtype=float)[::turn]], WINDOW[::turn])
    if expected is None:
        assert box is None
    else:
        np.testing.assert_allclose(box, expected, atol=1e-5)


def test_parts_joined_round_a_corner_do_not_reach_it():
    """A hook that leaves at the top and comes back from the right, round the upper right corner."""
    hook = [[40, 10], [40, -9], [69, -9], [69, 30], [50, 30], [50, 28], [67, 28], [67, -7]]
    hook = np.array([*hook, [42, -7], [42, 10]], dtype=float)
    np.testing.assert_allclose(tight_box([hook], WINDOW), [40, 0, 60, 30], atol=1e-5)
    low_hook = hook[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]] + [0, 5]
    parts = clip_polygon(low_hook, WINDOW)
    assert abs(area(parts)) == pytest.approx(2 * 15 + 10 * 2)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_stars_are_clipped_as_they_are_drawn(seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    star = rng.uniform(0, 50, 2) + rng.uniform(4, 40, (9, 1)) * np.column_stack(
        [np.cos(angles), np.sin(angles)]
    )
    star = np.clip(star, -19, 79)
    mask = drawn([star]) & drawn([WINDOW])
    clipped = clip_polygon(star, WINDOW)
    ours = drawn([clipped]) if len(clipped) else np.zeros_like(mask)
    # only pixels on an outline may differ
    outline = cv2.dilate(drawn([star]), np.ones((5, 5))) - cv2.erode(drawn([star]), np.ones((5, 5)))
    border = cv2.dilate(drawn([WINDOW]), np.ones((5, 5))) - cv2.erode(
        drawn([WINDOW]), np.ones((5, 5))
    )
    assert not ((mask != ours) & (outline == 0) & (border == 0)).any()
    box = tight_box([star], WINDOW)
    inner = cv2.erode(mask, np.ones((3, 3)))
    if inner.any():
        rows, columns = np.nonzero(inner)
        assert box[0] <= columns.min() - 20 + 1 and box[3] >= rows.max() - 20 - 1


def test_ellipse_touches_the_box():
    ellipse = inscribed_ellipse(np.array([10.0, 20, 50, 40]))
    assert [*ellipse.min(axis=0), *ellipse.max(axis=0)] == pytest.approx([10, 20, 50, 40])
    assert area(ellipse) == pytest.approx(np.pi * 20 * 10, rel=1e-3)


def test_an_empty_window():
    nothing = np.zeros((0, 2))
    assert len(clip_polygon(WINDOW, nothing)) == 0 and not is_inside(WINDOW, nothing).any()
    assert tight_box([WINDOW], nothing) is None and tight_box([], WINDOW) is None
