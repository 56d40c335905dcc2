import json

import numpy as np
import pytest
from detectron2.data import MetadataCatalog
from pycocotools.cocoeval import Params

from pose_project.structures import COCO_PERSON, KeypointSchema, infer_flip_pairs


def test_coco_sigmas_are_those_of_pycocotools():
    np.testing.assert_allclose(COCO_PERSON.oks_sigmas, Params("keypoints").kpt_oks_sigmas)


def test_coco_agrees_with_detectron2():
    metadata = MetadataCatalog.get("keypoints_coco_2017_val")
    assert list(COCO_PERSON.names) == list(metadata.keypoint_names)
    assert set(COCO_PERSON.flip_pairs) == set(metadata.keypoint_flip_map)


def test_hflip_swaps_pairs_and_keeps_the_nose():
    indices = COCO_PERSON.hflip_indices
    assert [indices[i] for i in indices] == list(range(17))
    mirrored = [COCO_PERSON.names[i] for i in indices]
    assert mirrored[0] == "nose"
    assert mirrored[5:7] == ["right_shoulder", "left_shoulder"]


def test_metadata_round_trip():
    metadata = MetadataCatalog.get("schema_round_trip").set(**COCO_PERSON.metadata())
    try:
        assert KeypointSchema.from_metadata(metadata) == COCO_PERSON
    finally:
        MetadataCatalog.remove("schema_round_trip")


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["left_eye", "right_eye"], (("left_eye", "right_eye"),)),
        (["L_Paw", "R_Paw"], (("L_Paw", "R_Paw"),)),
        (["eye_l", "eye_r"], (("eye_l", "eye_r"),)),
        (["l-ear", "r-ear"], (("l-ear", "r-ear"),)),
        (["tail", "ball", "leftover"], ()),
    ],
)
def test_flip_pairs_from_names(names, pairs):
    assert infer_flip_pairs(names) == pairs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ("a", "a")}, "distinct"),
        ({"names": ("a",), "flip_pairs": (("a", "b"),)}, "no known keypoint"),
        ({"names": ("a", "b", "c"), "flip_pairs": (("a", "b"), ("b", "c"))}, "two mirror images"),
        ({"names": ("a", "b"), "oks_sigmas": (0.1,)}, "1 OKS sigmas for 2"),
        ({"names": ("a",), "oks_sigmas": (float("nan"),)}, "positive"),
    ],
)
def test_inconsistent_schemas_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        KeypointSchema(**arguments)


def test_unknown_sigmas_are_marked_as_estimated():
    schema = KeypointSchema.from_coco_category({"name": "cat", "keypoints": ["nose", "tail"]})
    assert schema.sigmas_estimated
    assert schema.oks_sigmas == (0.05, 0.05)
    assert not KeypointSchema.from_coco_category(
        {"keypoints": list(COCO_PERSON.names)}
    ).sigmas_estimated


def test_skeleton_of_another_set_is_not_drawn(caplog):
    category = {"name": "p", "keypoints": ["a", "b"], "skeleton": [[1, 2], [16, 14]]}
    assert KeypointSchema.from_coco_category(category).skeleton == ()
    assert "skeleton" in caplog.text


def test_skeleton_counted_from_zero():
    category = {"keypoints": ["a", "b", "c"], "skeleton": [[0, 1], [1, 2]]}
    assert KeypointSchema.from_coco_category(category).skeleton == (("a", "b"), ("b", "c"))


@pytest.mark.parametrize(
    ("name", "num_keypoints", "num_pairs"),
    [("animalpose", 20, 8), ("crowdpose", 14, 6), ("horse10", 22, 0), ("jhmdb", 15, 6)],
)
def test_real_custom_skeletons(test_data, name, num_keypoints, num_pairs):
    (path,) = (p for p in (test_data / "custom" / name).glob("test_*.json") if "det" not in p.name)
    schema = KeypointSchema.from_coco_category(json.loads(path.read_text())["categories"][0])
    assert (schema.num_keypoints, len(schema.flip_pairs)) == (num_keypoints, num_pairs)


def test_survives_the_way_through_a_coco_category() -> None:
    schema = KeypointSchema(("nose", "left_eye", "right_eye"), (("left_eye", "right_eye"),))
    category = json.loads(json.dumps(schema.to_coco_category(3, "fox")))
    assert KeypointSchema.from_coco_category(category) == schema
    assert category["id"] == 3 and "oks_sigmas" not in category  # those of nobody's measurement
    person = COCO_PERSON.to_coco_category(1, "person")
    assert KeypointSchema.from_coco_category(person) == COCO_PERSON
