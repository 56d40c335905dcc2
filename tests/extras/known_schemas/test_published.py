"""The published schemas hold together as their standards say."""

import json
import re
from collections import Counter

import pytest
from helpers.repository import ROOT

from pose_project.data.category_schemas import schemas_of_size
from pose_project.extras.known_schemas.published import KNOWN_SCHEMAS
from pose_project.structures import COCO_PERSON

SIZES = {
    **{"coco": 17, "coco_wholebody": 133, "halpe26": 26, "halpe136": 136, "crowdpose": 14},
    **{"mpii": 16, "aic": 14, "ap10k": 17, "hand21": 21, "wflw": 98, "300w": 68},
}
PAIRS = {
    **{"coco": 8, "coco_wholebody": 8 + 3 + 29 + 21, "halpe26": 11, "halpe136": 11 + 29 + 21},
    **{"crowdpose": 6, "mpii": 6, "aic": 6, "ap10k": 7, "hand21": 0, "wflw": 44, "300w": 29},
}
ESTIMATED = {"mpii", "hand21", "wflw", "300w"}
# parts that no line connects: (points, how many such parts)
PARTS = {
    "coco_wholebody": {23: 1, 17: 1, 5: 3, 4: 1, 6: 2, 12: 1, 8: 1, 21: 2},
    "halpe136": {26: 1, 17: 1, 5: 3, 4: 1, 6: 2, 12: 1, 8: 1, 21: 2},
    "300w": {17: 1, 5: 3, 4: 1, 6: 2, 12: 1, 8: 1},
    "wflw": {33: 1, 9: 2, 4: 1, 5: 1, 8: 3, 12: 1, 1: 2},
}


@pytest.fixture(params=KNOWN_SCHEMAS)
def name(request) -> str:
    return request.param


def test_numbers_and_sources(name):
    known = KNOWN_SCHEMAS[name]
    assert known.schema.num_keypoints == SIZES[name] and name in schemas_of_size(SIZES[name])
    assert len(known.schema.flip_pairs) == PAIRS[name]
    assert known.schema.sigmas_estimated == (name in ESTIMATED)
    assert known.category in ("person", "animal", "hand", "face") and known.source
    assert SIZES.keys() == KNOWN_SCHEMAS.keys()


def test_the_mirror_is_its_own_inverse_and_exchanges_sides(name):
    schema = KNOWN_SCHEMAS[name].schema
    mirror = schema.hflip_indices
    assert [mirror[place] for place in mirror] == list(range(schema.num_keypoints))
    for left, right in schema.flip_pairs:
        if re.search("left|right", left + right):
            assert left.replace("left", "right", 1) == right
    unpaired = set(schema.names) - {each for pair in schema.flip_pairs for each in pair}
    assert not any(re.search("left|right", each) for each in unpaired)


def test_lines_connect_each_part_and_their_mirror_image_is_a_line(name):
    schema = KNOWN_SCHEMAS[name].schema
    part = {each: each for each in schema.names}
    for a, b in schema.skeleton:
        part = {each: part[a] if root == part[b] else root for each, root in part.items()}
    sizes = Counter(Counter(part.values()).values())
    assert sizes == PARTS.get(name, {schema.num_keypoints: 1})
    lines = {frozenset(line) for line in schema.skeleton_indices}
    mirror = schema.hflip_indices
    assert lines == {frozenset(mirror[end] for end in line) for line in lines}
    assert len(lines) == len(schema.skeleton)


def test_sigmas_are_the_same_on_both_sides_but_for_feet_and_faces(name):
    """COCO-WholeBody's feet and faces, and AI Challenger, measured each side on its own."""
    schema = KNOWN_SCHEMAS[name].schema
    sigma = dict(zip(schema.names, schema.oks_sigmas, strict=True))
    differing = {pair[0] for pair in schema.flip_pairs if sigma[pair[0]] != sigma[pair[1]]}
    if name == "coco_wholebody":
        differing = {e for e in differing if not re.match("face_|left_(big_toe|small_toe|heel)", e)}
    assert not differing or name == "aic"


def test_bodies_begin_with_cocos():
    for name in ("coco_wholebody", "halpe26", "halpe136"):
        schema = KNOWN_SCHEMAS[name].schema
        assert schema.names[:17] == COCO_PERSON.names
        assert schema.oks_sigmas[:17] == COCO_PERSON.oks_sigmas


@pytest.mark.parametrize(
    ("name", "index", "expected", "sigma"),
    [
        # evaluation/myeval_wholebody.py: foot, face, left hand, right hand follow the body
        ("coco_wholebody", 17, "left_big_toe", 0.068),
        ("coco_wholebody", 22, "right_heel", 0.094),
        ("coco_wholebody", 23, "face_0", 0.042),
        ("coco_wholebody", 90, "face_67", 0.008),
        ("coco_wholebody", 91, "left_hand_wrist", 0.029),
        ("coco_wholebody", 112, "right_hand_wrist", 0.029),
        ("coco_wholebody", 132, "right_hand_pinky_finger4", 0.031),
        # README.md, halpecocotools/cocoeval.py
        ("halpe26", 17, "head", 0.08),
        ("halpe26", 19, "hip", 0.08),
        ("halpe136", 25, "right_heel", 0.089),
        ("halpe136", 94, "left_hand_wrist", 0.015),
        ("halpe136", 115, "right_hand_wrist", 0.015),
        # crowdposetools/cocoeval.py, keypoint_eval.py, configs/_base_/datasets/ap10k.py
        ("crowdpose", 13, "neck", 0.079),
        ("aic", 6, "right_hip", 0.03909642),
        ("aic", 13, "neck", 0.01236173),
        ("ap10k", 4, "root_of_tail", 0.035),
        ("ap10k", 16, "right_back_paw", 0.089),
        ("mpii", 9, "head_top", 0.05),
        ("hand21", 20, "pinky_finger4", 0.05),
    ],
)
def test_some_points_are_where_their_standard_has_them(name, index, expected, sigma):
    schema = KNOWN_SCHEMAS[name].schema
    assert schema.names[index] == expected
    assert schema.oks_sigmas[index] == pytest.approx(sigma)


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [  # corners of eyes, mouth and lower lips, ends of brows, pupils
        *(("300w", *pair) for pair in ((45, 36), (54, 48), (55, 59), (65, 67), (26, 17), (16, 0))),
        *(("wflw", *pair) for pair in ((72, 60), (82, 76), (83, 87), (97, 96), (46, 33), (47, 41))),
    ],
)
def test_mirrored_points_of_faces(name, left, right):
    schema = KNOWN_SCHEMAS[name].schema
    assert (schema.names[left], schema.names[right]) in schema.flip_pairs


def test_real_files_name_their_points_so(test_data):
    path = test_data / "custom/crowdpose/test_crowdpose.json"
    (category,) = json.loads(path.read_text())["categories"]
    assert tuple(category["keypoints"]) == KNOWN_SCHEMAS["crowdpose"].schema.names


def test_the_guide_has_a_row_for_each(name):
    schema = KNOWN_SCHEMAS[name].schema
    row = f"| `{name}` | {schema.num_keypoints} | {len(schema.flip_pairs)} | "
    row += "estimated" if schema.sigmas_estimated else ""
    assert row in (ROOT / "docs/formats.md").read_text()
