"""Mirror pairs as tools write them."""

import pytest

from pose_project.structures import COCO_PERSON, KeypointSchema
from pose_project.structures.flip_pairs import read_flip_pairs

NAMES = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
PAIRS = (("left_eye", "right_eye"), ("left_ear", "right_ear"))


@pytest.mark.parametrize(
    "given",
    [
        None,
        [["left_eye", "right_eye"], ["left_ear", "right_ear"]],
        ["left_eye,right_eye", "left_ear , right_ear"],
        ["left_eye right_eye", "left_ear|right_ear"],
        {"left_eye": "right_eye", "left_ear": "right_ear"},
        "[['left_eye', 'right_eye'], ['left_ear', 'right_ear']]",
        [[1, 2], [3, 4]],
        [[2, 3], [4, 5]],
        [["2", "3"], ["4", "5"]],
        ["1,2", "3,4"],
        "[[2, 3], [4, 5]]",
        [0, 2, 1, 4, 3],
        [1, 3, 2, 5, 4],
        ["nose", "right_eye", "left_eye", "right_ear", "left_ear"],
    ],
)
def test_the_same_pairs_written_differently(given):
    assert read_flip_pairs(NAMES, {"flip_pairs": given}) == PAIRS


@pytest.mark.parametrize(
    ("pairs", "skeleton", "expected"),
    [
        ([[0, 1]], [], ("a", "b")),
        ([[3, 4]], [], ("c", "d")),  # there are four
        ([[1, 2]], [], ("a", "b")),  # as COCO counts
        ([[1, 2]], [[0, 1]], ("b", "c")),  # as the skeleton does
    ],
)
def test_from_where_numbers_count_where_names_say_nothing(pairs, skeleton, expected):
    category = {"keypoints": list("abcd"), "flip_pairs": pairs, "skeleton": skeleton}
    assert KeypointSchema.from_coco_category(category).flip_pairs == (expected,)


def test_names_that_are_numbers_are_names():
    assert read_flip_pairs(("2", "1", "3"), {"flip_pairs": [[1, 2]]}) == (("1", "2"),)


def test_names_of_several_words():
    names = ("left eye", "right eye")
    assert read_flip_pairs(names, {"flip_pairs": ["left eye, right eye"]}) == (names,)


def test_no_pairs():
    assert read_flip_pairs(NAMES, {"flip_pairs": []}) == ()
    assert read_flip_pairs(NAMES, {"flip_pairs": [0, 1, 2, 3, 4]}) == ()


@pytest.mark.parametrize(
    "given",
    [
        *(5, "left and right", "{", [5], [[1, 2, 3]], [[1]], [[1, 9]], [["left_eye", "tail"]]),
        *([1, 2, 3, 4, 0], [0, 2, 1, 4, 9], ["a", "b", "c", "d", "e"], [[1, 1]], [True] * 5),
        *([None], [[None, 2]], [[1, 2], [2, 3]], {"left_eye": 5}, [[-1, 2]], [[0, 5]]),
    ],
)
def test_what_is_no_mirror(given):
    with pytest.raises((ValueError, TypeError)):
        KeypointSchema.from_coco_category({"keypoints": list(NAMES), "flip_pairs": given})


def test_those_of_coco_by_number():
    numbers = [[a + 1, b + 1] for a, b in enumerate(COCO_PERSON.hflip_indices) if a < b]
    category = {"keypoints": list(COCO_PERSON.names), "flip_pairs": numbers}
    assert KeypointSchema.from_coco_category(category).flip_pairs == COCO_PERSON.flip_pairs
