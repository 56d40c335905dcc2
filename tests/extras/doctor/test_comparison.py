"""Comparison with the schema that a dataset is meant to have."""

import copy
import json

import pytest
from helpers.injected_errors import DIFFERENT, SKELETON, Edit, also, category, clean

from pose_project.extras.doctor.check_expected import read_schemas
from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.examination import examine_content
from pose_project.extras.doctor.fixing import correct
from pose_project.extras.doctor.problems import PROBLEMS
from pose_project.structures import COCO_PERSON, KeypointSchema

COCO = {"person": COCO_PERSON}
HAND = {"id": 2, "name": "hand", "keypoints": ["thumb", "wrist"], "skeleton": [[1, 2]]}
HANDS = {"hand": KeypointSchema(("thumb", "wrist"), skeleton=(("thumb", "wrist"),))}


def codes_of(content: dict, schemas: dict) -> list[str]:
    codes = examine_content("x.json", content, schemas).codes
    return [code for code in codes if code.startswith("schema-")]


def edited(edit: Edit) -> dict:
    content = clean()
    edit(content)
    return copy.deepcopy(content)  # of what the edit has put in


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: None,
        category(name="human"),
        category(flip_pairs=[list(pair[::-1]) for pair in COCO_PERSON.flip_pairs]),
        category(skeleton=[line[::-1] for line in SKELETON[::-1]]),
        category(oks_sigmas=list(COCO_PERSON.oks_sigmas)),
        also("categories", {"id": 2, "name": "dog"}),
    ],
    ids=["same", "other name", "pairs turned", "lines turned", "sigmas given", "no keypoints"],
)
def test_a_schema_that_matches_adds_nothing(edit):
    content = edited(edit)
    with_schema = examine_content("x.json", content, COCO)
    assert with_schema.findings == examine_content("x.json", content).findings


@pytest.mark.parametrize(("code", "edit", "remark"), DIFFERENT)
def test_differences(code, edit, remark):
    content = edited(edit)
    before = json.dumps(content)
    report = examine_content("x.json", content, COCO)
    found = [each for each in report.findings if each.problem.code.startswith("schema-")]
    (finding,) = found
    assert finding.problem.code == code
    assert remark in str(finding)
    assert finding.labels == (() if finding.kind == "file" else (1,))
    assert report.exit_code >= PROBLEMS[code].severity.exit_code
    assert json.dumps(content) == before
    assert codes_of(content, {}) == []


def test_annotations_are_checked_against_the_names_of_the_schema():
    content = edited(category(keypoints=[]))
    assert examine_content("x.json", content).codes == ["no-keypoints"]
    assert examine_content("x.json", content, COCO).codes == ["schema-absent"]
    content["annotations"][0]["keypoints"] = [20, 30, 2] * 14
    assert "keypoints-length" in examine_content("x.json", content, COCO).codes


def test_the_corrected_copy_has_the_schema():
    content = clean()
    content["categories"] = [{"id": 1, "name": "person", "supercategory": "animal"}]
    before = json.dumps(content)
    corrected, done = correct(Dataset(content, COCO))
    assert json.dumps(content) == before
    assert done == {"categories: keypoints taken from the schema": 1}
    (entry,) = corrected["categories"]
    assert KeypointSchema.from_coco_category(entry) == COCO_PERSON
    assert set(entry) == {"id", "name", "supercategory"} | {
        *("keypoints", "skeleton", "flip_pairs", "oks_sigmas")
    }
    assert examine_content("x.json", corrected, COCO).findings == ()


def test_what_a_category_without_names_gives_is_kept_and_compared():
    content = edited(category(keypoints=[], oks_sigmas=[0.1] * 17))
    assert codes_of(content, COCO) == ["schema-absent", "schema-sigmas"]
    corrected, _ = correct(Dataset(content, COCO))
    assert corrected["categories"][0]["oks_sigmas"] == [0.1] * 17


def test_estimated_sigmas_are_neither_compared_nor_written():
    schemas = {"person": KeypointSchema(("a", "b"))}
    content = edited(category(keypoints=["a", "b"], skeleton=[[1, 2]], oks_sigmas=[0.1, 0.2]))
    assert codes_of(content, schemas) == []
    corrected, _ = correct(Dataset(edited(category(keypoints=[])), schemas))
    assert "oks_sigmas" not in corrected["categories"][0]


def test_several_categories_are_matched_by_name():
    content = edited(also("categories", HAND))
    assert codes_of(content, COCO | HANDS) == []
    content["categories"][0]["name"], content["categories"][1]["name"] = "hand", "person"
    report = examine_content("x.json", content, COCO | HANDS)
    assert [each.labels for each in report.findings if each.problem.code == "schema-number"] == [
        (1,),
        (2,),
    ]


def test_categories_without_counterpart_are_named():
    for content, schemas, remark in (
        (clean(), HANDS | COCO, "only in the schema: 'hand'"),
        (edited(also("categories", HAND)), COCO, "only in the file: 'hand'"),
        (edited(category(name="dog")), HANDS | COCO, "'hand', 'person'; only in the file: 'dog'"),
        (clean() | {"categories": []}, COCO, "only in the schema: 'person'"),
    ):
        findings = examine_content("x.json", content, schemas).findings
        (found,) = [each for each in findings if each.problem.code == "schema-categories"]
        assert remark in str(found)


def test_schemas_of_a_file(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"categories": [*clean()["categories"], HAND, {"name": "dog"}]}))
    assert read_schemas(str(path)) == COCO | HANDS
    assert read_schemas("coco") == COCO


def test_the_real_sets(test_data):
    train = test_data / "coco/annotations/person_keypoints_train2017.json"
    for name, codes in (
        ("coco/annotations/person_keypoints_val2017.json", []),
        ("custom/crowdpose/test_crowdpose.json", ["schema-number"]),
        ("custom/animalpose/test_animalpose.json", ["schema-number"]),
    ):
        content = json.loads((test_data / name).read_text())
        for schemas in (COCO, read_schemas(str(train))):
            assert codes_of(content, schemas) == codes
