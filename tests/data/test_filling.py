import copy
import math

import numpy as np
import pytest
from helpers.annotations import person
from hypothesis import given
from hypothesis import strategies as st

from pose_project.data.filling import (
    BOX_MARGIN,
    FIELDS,
    SMALLEST_MARGIN,
    box_around,
    fill_annotation,
)
from pose_project.structures.oks import AREA_SHARE

SIZE_WH = (640, 480)
POINTS = [100, 50, 2, 140, 250, 1, 0, 0, 0]


def without(*fields: str, **changes: object) -> dict:
    annotation = {**person(num_keypoints=3, keypoints=POINTS), **changes}
    return {key: value for key, value in annotation.items() if key not in fields}


def test_a_complete_annotation_is_returned_as_it_is():
    annotation = without()
    filled, names = fill_annotation(annotation, 3, SIZE_WH)
    assert filled is annotation and names == ()


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("iscrowd", 0),
        ("num_keypoints", 2),
        ("keypoints", [0] * 9),
        ("area", AREA_SHARE * 34 * 34),
        ("bbox", [80.5, 30.5, 80, 240]),  # margin: a tenth of 200
    ],
)
@pytest.mark.parametrize("null", [False, True], ids=["absent", "null"])
def test_each_field_alone(field, expected, null):
    annotation = without(field, **({field: None} if null else {}))
    if null:
        annotation[field] = None
    before = copy.deepcopy(annotation)
    filled, names = fill_annotation(annotation, 3, SIZE_WH)
    assert names == (field,)
    assert filled[field] == pytest.approx(expected)
    assert annotation == before
    rest = {key: value for key, value in filled.items() if key != field}
    assert rest == {key: value for key, value in before.items() if key != field}


def test_everything_at_once_is_consistent():
    filled, names = fill_annotation({"keypoints": POINTS}, 3, SIZE_WH)
    assert names == ("iscrowd", "num_keypoints", "bbox", "area")
    assert filled["area"] == pytest.approx(AREA_SHARE * 80 * 240)


@pytest.mark.parametrize("box", [[], [120, 60, 0, 0], [120, 60, 0, 9]], ids=str)
def test_a_box_of_no_extent_counts_as_missing(box):
    """Label Studio writes it for a single keypoint."""
    filled, names = fill_annotation(without(bbox=box, area=0), 3, SIZE_WH)
    assert names == ("bbox", "area")
    assert filled["bbox"] == [80.5, 30.5, 80, 240]
    assert filled["area"] == pytest.approx(AREA_SHARE * 80 * 240)


def test_one_keypoint_and_points_on_a_line_give_a_box():
    assert box_around(np.array([[30.0, 20.0]]), SIZE_WH) == [26.5, 16.5, 8, 8]
    x, y, width, height = box_around(np.array([[90.0, 200.0], [390.0, 200.0]]), SIZE_WH)
    assert (width, height) == (360, 2 * BOX_MARGIN * 300)


def test_boxes_stay_within_the_photo():
    points = np.array([[0.0, 0.0], [639.0, 479.0]])
    assert box_around(points, SIZE_WH) == [0, 0, 640, 480]
    assert box_around(points) == pytest.approx([-63.4, -63.4, 766.8, 606.8])


def test_what_cannot_be_computed_stays_missing():
    unlabelled = {"keypoints": [5, 5, 0] * 3, "category_id": 1}
    filled, names = fill_annotation(unlabelled, 3, SIZE_WH)
    assert names == ("iscrowd", "num_keypoints")
    assert filled["num_keypoints"] == 0 and "bbox" not in filled and "area" not in filled


@pytest.mark.parametrize(
    "keypoints", ["nonsense", [1, 2], [1, 2, "2"] * 3, [math.nan, 2, 2] * 3, [10**400, 1, 1] * 3, 5]
)
def test_malformed_keypoints_are_left_for_the_checks(keypoints):
    annotation = without("num_keypoints", "bbox", "area", keypoints=keypoints)
    filled, names = fill_annotation(annotation, 3, SIZE_WH)
    assert filled == annotation and names == ()


def test_categories_without_keypoints_get_none():
    filled, names = fill_annotation({"bbox": [0, 0, 10, 10]}, 0, SIZE_WH)
    assert names == ("iscrowd", "area") and "keypoints" not in filled


triples = st.tuples(st.integers(0, 639), st.integers(0, 479), st.integers(0, 2))


@given(st.lists(triples, min_size=1, max_size=8), st.sets(st.sampled_from(FIELDS)))
def test_filling_is_idempotent_and_keeps_what_is_there(points, missing):
    annotation = person(num_keypoints=len(points), keypoints=[v for p in points for v in p])
    given_fields = {key: value for key, value in annotation.items() if key not in missing}
    filled, names = fill_annotation(given_fields, len(points), SIZE_WH)
    changed = {"area"} if "bbox" in names else set()  # the new box may show that it is wrong
    assert set(names) <= missing | changed
    kept = {key: value for key, value in given_fields.items() if key not in changed}
    assert kept.items() <= filled.items()
    assert fill_annotation(filled, len(points), SIZE_WH)[1] == ()
    labelled = np.array([p[:2] for p in points if p[2]])
    if "bbox" in names:
        x, y, width, height = filled["bbox"]
        assert min(x, y) >= 0 and x + width <= 640 and y + height <= 480
        centres = labelled + 0.5
        assert ((centres > (x, y)) & (centres < (x + width, y + height))).all()
        assert max(width, height) >= SMALLEST_MARGIN
