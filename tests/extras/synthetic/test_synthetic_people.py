"""Bodies and figures: sides, faces, sizes, and joints that lie where they are drawn."""

import dataclasses

import numpy as np
import pytest

from pose_project.extras.synthetic.body_parts import Part
from pose_project.extras.synthetic.body_poses import LimbAngles, Pose, sample_pose
from pose_project.extras.synthetic.figure import Figure, paint_figure, sample_figure
from pose_project.extras.synthetic.levels import LEVELS
from pose_project.extras.synthetic.outfit import sample_outfit
from pose_project.extras.synthetic.people import build_body, sample_proportions
from pose_project.structures.schema import COCO_PERSON

GREY = (128.0, 128.0, 128.0)
HANGING = LimbAngles(swing=0, spread=25, bend=0, bend_towards=(0, 0, 1))
STANDING = LimbAngles(swing=0, spread=0, bend=0, bend_towards=(0, 0, -1))
UPRIGHT = Pose((HANGING, HANGING), (STANDING, STANDING), 0, 0, 0, 0, 0)


def joint(name: str) -> int:
    return COCO_PERSON.names.index(name)


def upright_figure(turn: float, seed: int = 0) -> Figure:
    rng = np.random.default_rng(seed)
    body = build_body(sample_proportions(rng), UPRIGHT, turn, camera_pitch=5)
    outfit = dataclasses.replace(sample_outfit(rng, GREY), hair_style="short")
    return paint_figure(body, outfit, 150, (150, 150))


@pytest.mark.parametrize(("turn", "sign"), [(0, 1), (30, 1), (-30, 1), (180, -1), (150, -1)])
def test_left_is_on_photo_right_from_the_front_and_on_photo_left_from_behind(
    turn: float, sign: int
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pose = sample_pose(rng, unusual_share=0)
        x = build_body(sample_proportions(rng), pose, turn, camera_pitch=8).keypoints[:, 0]
        for name in ("shoulder", "hip"):
            assert sign * (x[joint(f"left_{name}")] - x[joint(f"right_{name}")]) > 0


def test_face_from_the_front_and_hair_from_behind() -> None:
    front, back = upright_figure(0).parts, upright_figure(180).parts
    face = [Part.FACE_LEFT, Part.FACE_RIGHT, Part.NOSE]
    assert all((front == part).any() for part in face)
    assert not np.isin(back, face).any()
    columns = {part: np.nonzero(front == part)[1].mean() for part in face}
    assert columns[Part.FACE_LEFT] > columns[Part.NOSE] > columns[Part.FACE_RIGHT]


@pytest.mark.parametrize("turn", [0, 180])
@pytest.mark.parametrize("side", ["left", "right"])
def test_knees_are_in_the_middle_of_the_drawn_legs(turn: float, side: str) -> None:
    figure = upright_figure(turn)
    x, y, _ = figure.joints[joint(f"{side}_knee")]
    leg = [Part[f"THIGH_{side.upper()}"], Part[f"SHIN_{side.upper()}"]]
    columns = np.flatnonzero(np.isin(figure.parts[int(y)], leg))
    assert abs((columns[0] + columns[-1] + 1) / 2 - x) <= 0.75


@pytest.mark.parametrize("side", ["left", "right"])
def test_wrists_part_forearm_and_hand(side: str) -> None:
    figure = upright_figure(0)
    wrist = figure.joints[joint(f"{side}_wrist")]
    elbow = figure.joints[joint(f"{side}_elbow")]
    step = (wrist - elbow)[:2] / np.linalg.norm((wrist - elbow)[:2])
    part_at = [figure.parts[tuple((wrist[:2] + way * step)[::-1].astype(int))] for way in (-6, 4)]
    assert part_at == [Part[f"FOREARM_{side.upper()}"], Part[f"HAND_{side.upper()}"]]


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS.keys())
def test_figures_keep_the_height_range_and_lie_on_their_canvas(level) -> None:
    rng = np.random.default_rng(1)
    for _ in range(15):
        figure = sample_figure(rng, level, level.height_px, GREY)
        x0, y0, x1, y1 = figure.box_xyxy
        assert level.height_px[0] - 2 <= y1 - y0 <= level.height_px[1] + 2
        assert x0 > 0 and y0 > 0 and x1 < figure.parts.shape[1] and y1 < figure.parts.shape[0]
        assert ((figure.parts > 0) == (figure.alpha >= 128)).all()
        assert not figure.colours[figure.alpha == 0].any()
