"""Categories without names, with too many or too few, and schemas that are given."""

import json
import logging

import numpy as np
import pytest
from detectron2.data import MetadataCatalog
from helpers.annotations import person

from pose_project.config.loading import load_config
from pose_project.data import count_keypoints, get_categories, get_dataset_dicts, get_schema
from pose_project.data.annotation_files import load_annotations
from pose_project.data.category_schemas import complete_categories, read_schemas
from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.examination import examine_content
from pose_project.extras.doctor.fixing import correct
from pose_project.extras.known_schemas.published import KNOWN_SCHEMAS
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

HAND = KNOWN_SCHEMAS["hand21"].schema
BODY = KNOWN_SCHEMAS["coco_wholebody"].schema


def people(num_keypoints: int, count: int = 3) -> list[dict]:
    return [person(1, number, num_keypoints) for number in range(1, count + 1)]


def dataset(write_dataset, num_points: int, **category: object) -> str:
    json_file, photos = write_dataset(people(num_points), **{"names": (), **category})
    return f"{json_file}@{photos}"


@pytest.mark.parametrize("keypoints", [[], None])
def test_without_names_the_line_names_the_schemas_that_fit(write_dataset, keypoints):
    for count, fitting in ((21, "hand21"), (14, "crowdpose and aic"), (68, "300w")):
        name = dataset(write_dataset, count, keypoints=keypoints)
        message = f"has no keypoints.*have {count} points, which those of {fitting} have: give"
        with pytest.raises(InputError, match=message + " custom.schema=NAME in training"):
            get_schema(name)
    with pytest.raises(InputError, match="have 19 points, which none built in has"):
        get_schema(dataset(write_dataset, 19, keypoints=keypoints))


@pytest.mark.parametrize("known", KNOWN_SCHEMAS)
def test_a_schema_by_name(write_dataset, known):
    schema = KNOWN_SCHEMAS[known].schema
    name = f"{dataset(write_dataset, schema.num_keypoints)}?schema={known}"
    found = get_schema(name)
    assert (found.names, set(found.flip_pairs)) == (schema.names, set(schema.flip_pairs))
    assert found.oks_sigmas == schema.oks_sigmas and found.skeleton == schema.skeleton
    assert found.sigmas_estimated == schema.sigmas_estimated
    (photo,) = get_dataset_dicts(name)
    assert len(photo["annotations"][0]["keypoints"]) == 3 * schema.num_keypoints
    assert get_categories(name)[0]["keypoints"] == list(schema.names)


def test_a_schema_of_a_file(write_dataset, tmp_path):
    given = {"id": 7, "name": "person", "keypoints": ["a", "b_l", "b_r"], "skeleton": [[1, 2]]}
    file = tmp_path / "schema, with a comma.json"
    file.write_text(json.dumps({"categories": [given]}))
    schema = get_schema(f"{dataset(write_dataset, 3)}?schema={file}")
    assert (schema.names, schema.flip_pairs) == (("a", "b_l", "b_r"), (("b_l", "b_r"),))


def test_a_schema_replaces_names_that_the_file_has(write_dataset):
    name = dataset(write_dataset, 21, names=tuple(f"p{n}" for n in range(21)), skeleton=[[1, 2]])
    schema = get_schema(f"{name}?schema=hand21")
    assert schema.names == HAND.names and schema.skeleton == HAND.skeleton


def test_configs_take_a_schema(write_dataset):
    json_file, photos = write_dataset(people(21), names=())
    overrides = [f"custom.train_json={json_file}", f"custom.val_json={json_file}"]
    overrides += [f"custom.image_root={photos}"]
    plain = load_config("configs/custom_dataset.py", overrides)
    assert plain.dataloader.train.dataset.names == f"{json_file}@{photos}"
    given = load_config("configs/custom_dataset.py", [*overrides, "custom.schema=hand21"])
    name = given.dataloader.test.dataset.names
    assert name == f"{json_file}@{photos}?schema=hand21"
    assert count_keypoints(name) == 21
    assert MetadataCatalog.get(name).keypoint_names == list(HAND.names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("hand", r"schema 'hand' is neither built in \(coco, .*300w\) nor a JSON file"),
        ("halpe26", "annotation 1: .*26"),
        ("FILE", "no category with names under 'keypoints'"),
    ],
)
def test_schemas_that_do_not_fit(write_dataset, tmp_path, given, message):
    (tmp_path / "FILE").write_text('{"categories": [{"id": 1, "name": "person"}]}')
    given = given.replace("FILE", str(tmp_path / "FILE"))
    with pytest.raises(InputError, match=message):
        get_dataset_dicts(f"{dataset(write_dataset, 21)}?schema={given}")


def test_several_categories_of_one_schema(write_dataset):
    """As in files of animals; what has other points, or none, is not one of them."""
    json_file, photos = write_dataset(people(17), names=())
    content = json.loads(json_file.read_text())
    names = ("cat", "dog", "ball")
    content["categories"] = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    content["annotations"][1]["category_id"] = 2
    json_file.write_text(json.dumps(content))
    name = f"{json_file}@{photos}?schema=ap10k"
    assert get_schema(name).num_keypoints == 17
    assert [each["name"] for each in get_categories(name)] == ["cat", "dog"]


def test_more_names_than_points(write_dataset, caplog):
    """As Human-Art lists 21 names for 17 points."""
    more = (*COCO_PERSON.names, "left_toe", "right_toe")
    pairs = [*map(list, COCO_PERSON.flip_pairs), ["left_toe", "right_toe"]]
    lines = [[16, 14], [18, 16], [1, 2]]
    with caplog.at_level(logging.WARNING):
        name = dataset(write_dataset, 17, names=more, flip_pairs=pairs, skeleton=lines)
        schema = get_schema(name)
    assert schema.names == COCO_PERSON.names and schema.flip_pairs == COCO_PERSON.flip_pairs
    assert schema.skeleton == (("left_ankle", "left_knee"), ("nose", "left_eye"))
    assert schema.oks_sigmas == COCO_PERSON.oks_sigmas
    said = "19 keypoint names for 17 points: the first are taken, without left_toe, right_toe"
    assert said in caplog.text
    assert len(get_dataset_dicts(name)[0]["annotations"]) == 3


def test_fewer_names_than_points(write_dataset, caplog):
    """COCO's names before 133 points are COCO-WholeBody."""
    with caplog.at_level(logging.WARNING):
        schema = get_schema(dataset(write_dataset, 133, names=COCO_PERSON.names))
    assert schema.names == BODY.names
    assert "17 keypoint names for 133 points: those of coco_wholebody" in caplog.text


def test_points_after_the_last_name_are_numbered(write_dataset):
    schema = get_schema(dataset(write_dataset, 4, names=("left_ear", "right_ear")))
    assert schema.names == ("left_ear", "right_ear", "keypoint_3", "keypoint_4")
    assert schema.flip_pairs == (("left_ear", "right_ear"),)


def test_one_annotation_alone_is_wrong_and_not_its_category(write_dataset):
    json_file, photos = write_dataset([person(num_keypoints=16)])
    with pytest.raises(InputError, match="annotation 1: keypoints"):
        get_dataset_dicts(f"{json_file}@{photos}")
    json_file, photos = write_dataset([*people(17), person(1, 9, 16)])
    with pytest.raises(InputError, match="annotation 9: keypoints"):
        get_dataset_dicts(f"{json_file}@{photos}")


PARTS = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}


def whole_body(annotation_id: int) -> dict:
    annotation = person(1, annotation_id)
    for number, (key, count) in enumerate(PARTS.items()):
        points = np.full((count, 3), [20 + number, 30, 2])
        annotation[key] = points.flatten().tolist()
    annotation["lefthand_kpts"][2] = 0.37  # a confidence
    annotation["righthand_kpts"][:3] = [0, 0, 0]
    return annotation


def test_the_parts_of_coco_wholebody_are_joined(write_dataset):
    json_file, photos = write_dataset([whole_body(1), whole_body(2)])
    before = json_file.read_text()
    name = f"{json_file}@{photos}?schema=coco_wholebody"
    annotation = get_dataset_dicts(name)[0]["annotations"][0]
    points = np.reshape(annotation["keypoints"], (133, 3))
    assert points[17].tolist() == [20.5, 30.5, 2] and points[23].tolist() == [21.5, 30.5, 2]
    assert points[91].tolist() == [22.5, 30.5, 2] and points[112, 2] == 0
    assert load_annotations(json_file).annotations[0]["num_keypoints"] == 132
    body = get_schema(f"{json_file}@{photos}")
    assert body.names == COCO_PERSON.names
    assert json_file.read_text() == before


def test_the_doctor_sees_what_loading_sees(write_dataset):
    json_file, _ = write_dataset([whole_body(1), whole_body(2)], names=())
    content = json.loads(json_file.read_text())
    report = examine_content(json_file, content, read_schemas("coco_wholebody"))
    assert "schema-absent" in report.codes and "keypoints-length" not in report.codes
    corrected, done = correct(Dataset(content, read_schemas("coco_wholebody")))
    assert corrected["categories"][0]["keypoints"] == list(BODY.names)
    assert len(corrected["annotations"][0]["keypoints"]) == 3 * 133
    assert done["categories: keypoints taken from the schema"] == 1


@pytest.mark.parametrize("garbage", [[None], [5], [{}], [{"id": "a"}], [{"id": 1, "keypoints": 5}]])
def test_entries_that_are_none_stay(garbage):
    for schemas in ({}, read_schemas("coco_wholebody")):
        done = complete_categories(
            garbage, [*garbage, {"category_id": [], "keypoints": [1]}], schemas
        )
        assert len(done.categories) == len(garbage) and not done.fitted
