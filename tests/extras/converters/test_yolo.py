from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_project.extras.converters.yolo import PoseFormat, format_line, parse_line, read_format
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

SIZE_WH = (200, 100)
THREE = PoseFormat({"cat": ("a", "b", "c"), "dog": ("a", "b", "c")}, (0, 2, 1), True)
LINE = "1 0.5 0.5 0.2 0.4  0.1 0.2 2  0.3 0.4 1  0 0 0"


def test_a_line_by_hand():
    """Points are fractions of the size with no half pixel; boxes by their centre."""
    annotation = {
        "category_id": 2,
        "bbox": [80, 30, 40, 40],
        "keypoints": [20, 20, 2, 60, 40, 1, 0, 0, 0],
    }
    assert parse_line(LINE, THREE, SIZE_WH, "here") == (annotation, 0)


def test_two_numbers_a_keypoint():
    flat = PoseFormat(THREE.keypoint_names, None, False)
    found, _ = parse_line("0 0.5 0.5 1 1 0.25 0.5 0 0 -1 -1", flat, SIZE_WH, "here")
    assert found["keypoints"] == [50, 50, 2, 0, 0, 0, 0, 0, 0]


def test_whole_numbers_may_be_written_with_decimals():
    line = LINE.replace("1 0.5", "1.000000 0.5", 1).replace(" 2 ", " 2.0 ")
    assert parse_line(line, THREE, SIZE_WH, "here") == parse_line(LINE, THREE, SIZE_WH, "here")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.2 0.4 0.1 0.2", "7 numbers; class, box and 3 keypoints of 3 are 14"),
        (LINE + " 0.5", "15 numbers"),
        (LINE.replace("0.2", "O.2", 1), "not only numbers"),
        ("2" + LINE[1:], "class 2, but there are 2, counted from 0"),
        ("0.5" + LINE[1:], "class 0.5"),
        ("-1" + LINE[1:], "class -1"),
        ("nan" + LINE[1:], "class nan"),
        (LINE.replace("0.5 0.5", "100 50"), "the box .* is not within 0 to 1; .* are fractions"),
        (LINE.replace("0.2 0.4", "-0.2 0.4"), "the box"),
        (LINE.replace("0.2 0.4", "nan 0.4"), "the box"),
        (LINE.replace("0.3 0.4 1", "60 40 1"), r"keypoint \(60, 40\) is not within 0 to 1"),
        (LINE.replace("0.3 0.4 1", "inf 0.4 1"), r"keypoint \(inf, 0.4\)"),
        (LINE.replace("0.3 0.4 1", "0.3 0.4 3"), "visibility 3 is not 0, 1 or 2"),
        (LINE.replace("0.3 0.4 1", "0.3 0.4 0.9"), "visibility 0.9"),
    ],
)
def test_wrong_lines_are_named(line, message):
    with pytest.raises(InputError, match=f"labels/1.txt, line 7: .*{message}"):
        parse_line(line, THREE, SIZE_WH, "labels/1.txt, line 7")


def test_boxes_that_rounding_pushed_over_the_edge_are_cut():
    box, _ = parse_line(LINE.replace("0.5 0.5 0.2 0.4", "0.905 0.5 0.2 0.4"), THREE, SIZE_WH, "x")
    assert box["bbox"] == pytest.approx([161, 30, 39, 40])


@pytest.mark.parametrize(
    ("point", "expected"),
    [("-0.003 0.4", [0, 40]), ("0.3 1.0099", [60, 100]), ("-0.01 -0.0001", [0, 0])],
)
@pytest.mark.parametrize("has_visibility", [True, False])
def test_points_just_outside_are_moved_to_the_edge_and_counted(point, expected, has_visibility):
    pose_format = PoseFormat(THREE.keypoint_names, None, has_visibility)
    v = " 2" if has_visibility else ""
    line = f"0 0.5 0.5 1 1 {point}{v} 0.5 0.5{v} 0.25 0.5{v}"
    found, num_moved = parse_line(line, pose_format, SIZE_WH, "x")
    assert found["keypoints"][:3] == [*expected, 2] and num_moved == 1


def test_an_unlabelled_point_outside_is_not_counted():
    found, num_moved = parse_line(LINE.replace("0 0 0", "-0.003 9 0"), THREE, SIZE_WH, "x")
    assert found["keypoints"][6:] == [0, 0, 0] and num_moved == 0


sizes = st.tuples(st.integers(1, 10_000), st.integers(1, 10_000))
fractions = st.floats(0, 1)


@given(sizes, st.tuples(fractions, fractions, fractions, fractions), st.data())
def test_lines_round_trip(size_wh, corners, data):
    """Written with 8 digits, read with 4 decimals: 1e-4 pixels at 10,000."""
    (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
    width, height = size_wh
    bbox = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height]
    points = [
        (data.draw(fractions) * width, data.draw(fractions) * height, data.draw(st.integers(0, 2)))
        for _ in range(3)
    ]
    found, _ = parse_line(format_line(1, bbox, points, size_wh), THREE, size_wh, "x")
    assert found["category_id"] == 2
    np.testing.assert_allclose(found["bbox"], bbox, atol=3e-4)
    expected = [(x, y, v) if v else (0, 0, 0) for x, y, v in points]
    np.testing.assert_allclose(np.reshape(found["keypoints"], (-1, 3)), expected, atol=3e-4)


YAML = {"names": ["cat"], "kpt_shape": [3, 3], "flip_idx": [0, 2, 1]}


@pytest.mark.parametrize("names", [["cat", "dog"], {0: "cat", 1: "dog"}, {1: "dog", 0: "cat"}])
def test_names_as_list_or_numbered(names):
    found = read_format(Path("d"), {**YAML, "names": names})
    assert list(found.keypoint_names) == ["cat", "dog"]
    assert found.keypoint_names["dog"] == ("keypoint_1", "keypoint_2", "keypoint_3")
    assert (found.num_keypoints, found.flip_indices, found.has_visibility) == (3, (0, 2, 1), True)


@pytest.mark.parametrize("given_names", [{0: ["l", "m", "r"]}, [["l", "m", "r"]]])
def test_names_of_keypoints(given_names):
    found = read_format(Path("d"), {**YAML, "kpt_names": given_names})
    assert found.keypoint_names["cat"] == ("l", "m", "r")


def test_cocos_keypoints_are_recognised():
    content = {**YAML, "kpt_shape": [17, 2], "flip_idx": list(COCO_PERSON.hflip_indices)}
    assert read_format(Path("d"), content).keypoint_names["cat"] == COCO_PERSON.names
    other = read_format(Path("d"), {**content, "flip_idx": list(range(17))})
    assert other.keypoint_names["cat"][0] == "keypoint_1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None}, "'names' must list the classes"),
        ({"names": []}, "'names' must list"),
        ({"names": {0: "cat", 2: "dog"}}, "'names' must list"),
        ({"names": ["cat", "cat"]}, "'names' must list"),
        ({"kpt_shape": None}, "'kpt_shape' must be .* not a pose dataset"),
        ({"kpt_shape": [3]}, "'kpt_shape'"),
        ({"kpt_shape": [3, 4]}, "'kpt_shape'"),
        ({"kpt_shape": ["3", 3]}, "'kpt_shape'"),
        ({"kpt_shape": [0, 3]}, "'kpt_shape'"),
        ({"flip_idx": [0, 1]}, "'flip_idx' must name for each of 3 keypoints"),
        ({"flip_idx": [1, 2, 0]}, "'flip_idx'"),
        ({"flip_idx": [1, 2, 3]}, "'flip_idx'"),
        ({"flip_idx": 5}, "'flip_idx'"),
        ({"kpt_names": {0: ["a", "b"]}}, "'kpt_names' of 'cat' are not 3 distinct names"),
        ({"kpt_names": [["a", "b", "a"]]}, "'kpt_names'"),
        ({"kpt_names": "abc"}, "'kpt_names'"),
        ({"kpt_names": 5}, "'kpt_names'"),
    ],
)
def test_wrong_descriptions_name_the_key(changes, message):
    with pytest.raises(InputError, match=f"pets.yaml: {message}"):
        read_format(Path("pets.yaml"), {**YAML, **changes})
