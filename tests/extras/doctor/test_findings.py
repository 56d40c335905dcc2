"""Every problem has a file that shows it; a clean file has none."""

import json
import time

import pytest
from helpers.injected_errors import CONTENTS, DIFFERENT, PHOTOS, clean, frontal_people, someone

from benchmarks.coco_size import NUM_PEOPLE, NUM_PHOTOS, write_coco_sized_json
from pose_project.extras.doctor.examination import examine, examine_content
from pose_project.extras.doctor.findings import ERROR, WARNING
from pose_project.extras.doctor.problems import PROBLEMS
from pose_project.structures import COCO_PERSON


def codes_of(content: dict) -> list[str]:
    return examine_content("x.json", content).codes


def test_a_clean_file_has_no_findings():
    report = examine_content("x.json", clean())
    assert report.findings == ()
    assert report.exit_code == 0
    assert report.counts == "nothing wrong"


@pytest.mark.parametrize(("code", "edit", "ids"), CONTENTS)
def test_content(code, edit, ids):
    content = clean()
    edit(content)
    before = json.dumps(content)
    report = examine_content("x.json", content)
    (finding,) = [each for each in report.findings if each.problem.code == code]
    assert list(finding.labels) == ids
    assert finding.count == max(len(ids), 1)
    assert report.exit_code >= finding.problem.severity.exit_code
    assert json.dumps(content) == before
    assert code in report.text()
    assert json.loads(json.dumps(report.as_dict()))["exit_code"] == report.exit_code


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"images": [],\n "annotations": [1 2]}', "line 2 column 20"),
        (b"", "line 1 column 1"),
        (b"\x00\xff\x1f\x8b", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"images": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_no_json(tmp_path, content, place):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    (finding,) = examine(path).report.findings
    assert finding.problem.code == "not-json"
    assert place in finding.detail


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "a list"),
        ([{"score": 1}], "a list of results"),
        (None, "not an object"),
        (3, "not an object"),
    ],
)
def test_json_of_other_things(content, reason):
    (finding,) = examine_content("x.json", content).findings
    assert finding.problem.code == "not-coco"
    assert reason in finding.detail


def test_every_problem_has_a_file_that_shows_it():
    shown = {code for code, *_ in (*CONTENTS, *DIFFERENT, *PHOTOS)} | {"not-json", "photo-leaked"}
    assert shown == set(PROBLEMS)
    assert {each.severity for each in PROBLEMS.values()} == {ERROR, WARNING}


@pytest.mark.parametrize("code", ["nobody-annotated", "points-without-skeleton"])
def test_what_follows_from_a_useless_export_is_not_listed(code):
    content = clean()
    (edit,) = [each[1] for each in CONTENTS if each[0] == code]
    edit(content)
    assert codes_of(content) == [code]


def test_crowds_need_no_keypoints():
    content = clean()
    crowd = someone(1, 3, iscrowd=1, keypoints=[0] * 51, num_keypoints=0)
    content["annotations"].append(crowd)
    assert codes_of(content) == []


def test_categories_without_keypoints_are_left_alone():
    content = clean()
    content["categories"].append({"id": 2, "name": "ball"})
    ball = {"id": 3, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0}
    content["annotations"].append(ball)
    assert codes_of(content) == []


def test_crossed_limbs_are_not_swapped_sides():
    content: dict = {}
    frontal_people(content)
    del content["annotations"][6]
    del content["images"][6]
    for each in content["annotations"][:10]:  # a quarter of them has crossed wrists
        points = each["keypoints"]
        for axis in (0, 1):
            left, right = (3 * COCO_PERSON.names.index(f"{s}_wrist") for s in ("left", "right"))
            points[left + axis], points[right + axis] = points[right + axis], points[left + axis]
    assert codes_of(content) == []


def test_boxes_that_fit_both_ways_are_not_taken_for_corners():
    content = clean()
    for each in content["annotations"]:
        each["bbox"] = [5, 5, 60, 55]  # two corners would be a box as well
    assert codes_of(content) == []


@pytest.mark.integration
def test_coco_size(tmp_path):
    path = tmp_path / "coco.json"
    write_coco_sized_json(path, NUM_PHOTOS, NUM_PEOPLE)
    start = time.process_time()
    report = examine(path).report
    assert time.process_time() - start < 20
    assert report.totals["annotations"] == NUM_PEOPLE
