"""Masks as polygons and run lengths, and visibility decided from what the photo shows."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from pose_project.extras.synthetic.annotate import mask_to_polygons, mask_to_rle, person_keypoints
from pose_project.extras.synthetic.body_parts import Part
from pose_project.extras.synthetic.figure import Figure
from pose_project.extras.synthetic.scene import SeenPerson
from pose_project.structures.schema import COCO_PERSON


def decode(segmentation: list | dict, shape: tuple[int, int]) -> np.ndarray:
    rles = coco_mask.frPyObjects(segmentation, *shape)
    rle = coco_mask.merge(rles) if isinstance(rles, list) else rles
    return coco_mask.decode(rle).astype(bool)


def test_polygon_of_a_rectangle_follows_the_edges_of_its_pixels() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:9, 10:22] = True
    (polygon,) = mask_to_polygons(mask)
    assert {tuple(point) for point in np.reshape(polygon, (-1, 2))} == {
        (10, 4),
        (22, 4),
        (22, 9),
        (10, 9),
    }


@pytest.mark.parametrize("hole_columns", [slice(12, 13), slice(8, 20)])
def test_polygons_leave_holes_open(hole_columns: slice) -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:30] = True
    mask[10:30, hole_columns] = False
    assert (decode(mask_to_polygons(mask), mask.shape) == mask).all()


def test_specks_and_pinholes_are_left_out() -> None:
    mask = np.zeros((30, 30), bool)
    mask[5:20, 5:20] = True
    expected = mask.copy()
    mask[10, 10] = False
    mask[25, 25] = True
    assert (decode(mask_to_polygons(mask), mask.shape) == expected).all()


@pytest.mark.parametrize("seed", range(3))
def test_run_lengths_decode_to_the_mask(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 5)) < 0.5
    mask[0, 0] = mask[-1, -1] = seed % 2
    assert (decode(mask_to_rle(mask), mask.shape) == mask).all()


def test_run_lengths_of_full_and_empty_masks() -> None:
    assert mask_to_rle(np.ones((2, 3), bool)) == {"counts": [0, 6], "size": [2, 3]}
    assert mask_to_rle(np.zeros((2, 3), bool)) == {"counts": [6], "size": [2, 3]}


def seen(joints: dict[str, tuple[float, float, float]], parts: np.ndarray) -> SeenPerson:
    """Return a person whose canvas lies at (10, 0); joints that are not named are far outside."""
    places = np.full((17, 3), -500.0)
    for name, place in joints.items():
        places[COCO_PERSON.names.index(name)] = place
    canvas = np.ones((50, 50), np.uint8)
    figure = Figure(np.zeros((50, 50, 3), np.uint8), canvas * 255, canvas, places)
    return SeenPerson(figure, 10, 0, parts > 0, parts)


def test_joints_are_pixel_indices_and_visible_on_their_own_parts_only() -> None:
    parts = np.zeros((60, 60), np.uint8)
    parts[20, 30] = Part.SHIN_LEFT
    parts[40, 30] = Part.SHIN_RIGHT
    person = seen({"left_knee": (20.9, 20.1, 0), "left_ankle": (20.2, 40.7, 0)}, parts)
    keypoints = dict(zip(COCO_PERSON.names, person_keypoints(person).tolist(), strict=True))
    assert keypoints["left_knee"] == [30, 20, 2]
    assert keypoints["left_ankle"] == [30, 40, 1]  # the other leg is in front
    assert keypoints["nose"] == [0, 0, 0]


def test_trunk_shows_a_shoulder_unless_it_is_in_between() -> None:
    parts = np.full((60, 60), Part.TORSO, np.uint8)
    near, far = (20.0, 20.0, 0.1), (30.0, 20.0, -0.1)
    person = seen({"left_shoulder": near, "right_shoulder": far, "left_wrist": near}, parts)
    v = dict(zip(COCO_PERSON.names, person_keypoints(person)[:, 2].tolist(), strict=True))
    assert (v["left_shoulder"], v["right_shoulder"], v["left_wrist"]) == (2, 1, 1)


@pytest.mark.parametrize(("x", "inside"), [(-10.5, 0), (-10.0, 1), (49.9, 1), (50.0, 0)])
def test_joints_outside_of_the_photo_are_not_labelled(x: float, inside: int) -> None:
    parts = np.full((60, 60), Part.TORSO, np.uint8)
    row = person_keypoints(seen({"nose": (x, 10.0, 0)}, parts))[0]
    assert row.tolist() == [int(x + 10) * inside, 10 * inside, inside]
