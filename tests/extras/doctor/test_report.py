import json
import logging

from helpers.annotations import person
from helpers.repository import ROOT

from pose_project.extras.doctor import examine, examine_content, log_findings
from pose_project.extras.doctor.findings import Finding, Report
from pose_project.extras.doctor.page import Example, choose_examples, write_page
from pose_project.extras.doctor.problems import PROBLEMS


def test_errors_come_first_and_decide_the_exit_code():
    warning = Finding(PROBLEMS["zero-id"], "annotations", 1, (0,), (0,))
    error = Finding(PROBLEMS["empty"], "file")
    assert Report.of("x.json", [], {}).exit_code == 0
    assert Report.of("x.json", [warning], {}).exit_code == 1
    report = Report.of("x.json", [warning, error], {"images": 1})
    assert report.exit_code == 2
    assert report.codes == ["empty", "zero-id"]
    assert report.line() == "1 error, 1 warning: empty 1, zero-id 1"
    assert report.text().startswith("x.json: 1 image\n\nERROR empty\n  the file has nobody")


def test_only_the_first_few_are_named():
    finding = Finding(PROBLEMS["zero-id"], "annotations", 1234, tuple(range(10)), tuple(range(10)))
    assert str(finding) == "1,234 annotations: id 0 (ids 0, 1, 2, 3, 4, ...)"


def test_remedies_name_fix_only_where_it_corrects(write_dataset):
    json_file, _ = write_dataset([person(iscrowd=False)])
    text = examine(json_file).report.text()
    assert "write 0 or 1. (--fix does it)" in text
    assert "counted from 1.\n" in text


def test_the_page_escapes_what_comes_from_the_dataset(tmp_path, write_dataset):
    hostile = "<script>alert(1)</script>"
    json_file, _ = write_dataset([person()], flip_pairs=[[hostile, "nose"]])
    report = examine(json_file).report
    path = write_page(tmp_path / "page", report, [Example("flip-pairs", hostile, b"\xff\xd8")])
    page = path.read_text()
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 3  # in the finding, the caption and its alt text
    assert "data:image/jpeg;base64,/9g=" in page
    assert "http" not in page.replace("https://cocodataset.org", "")


def test_examples_are_a_few_of_each_finding(write_dataset):
    people = [person(1, number, area=0) for number in range(1, 6)]
    for place, each in enumerate(people):
        each["bbox"] = [10, 15, 30 + place, 34]
    json_file, photos = write_dataset([*people, person(99, 6, area=0), "no object"])
    chosen = [each for each in choose_examples(examine(json_file, photos)) if each.code]
    assert [each.annotation for each in chosen if each.code == "area-zero"] == [0, 1]
    assert chosen[0].label == "annotation 1, 1.png"


def logged_findings(files, caplog):
    with caplog.at_level(logging.INFO):
        log_findings(str(files[0]), json.loads(files[0].read_text()))
    return [each for each in caplog.records if "doctor" in each.name]


def test_one_line_is_logged(write_dataset, caplog):
    files = write_dataset([person(area=None), person(annotation_id=2)])
    (record,) = logged_findings(files, caplog)
    found = "4 warnings: skeleton-empty 1, area-missing 1, visibility-float 2, duplicate-person 1"
    path = files[0]
    assert record.getMessage() == f"{path}: {found}. python tools/doctor.py {path} tells more"
    assert record.levelno == logging.INFO


def test_errors_are_logged_as_warnings(write_dataset, caplog):
    files = write_dataset([person(), person(annotation_id=2, image_id=5)])
    (record,) = logged_findings(files, caplog)
    assert "1 error, 2 warnings: dangling-photo 1" in record.getMessage()
    assert record.levelno == logging.WARNING


def test_nothing_is_logged_of_a_clean_dataset(write_dataset, caplog):
    keypoints = [20, 20, 2] * 5 + [25, 30, 2] * 12
    files = write_dataset([person(keypoints=keypoints)], skeleton=[[1, 2]])
    assert logged_findings(files, caplog) == []


def test_the_real_sets(test_data):
    def codes(name: str) -> list[str]:
        return examine_content(name, json.loads((test_data / name).read_text())).codes

    for split in ("train", "val"):
        json_file = test_data / f"coco/annotations/person_keypoints_{split}2017.json"
        report = examine(json_file, test_data / f"coco/{split}2017").report
        assert report.exit_code == 1
        assert {"unlabelled", "point-off-box"} <= set(report.codes)
    assert codes("custom/animalpose/test_animalpose.json") == ["visibility-float"]
    assert {"area-missing", "skeleton-range"} < set(codes("custom/crowdpose/test_crowdpose.json"))
    assert "skeleton-empty" in codes("custom/horse10/test_horse10.json")
    missing = {"area-missing", "iscrowd-missing", "num-keypoints-missing"}
    assert missing < set(codes("custom/jhmdb/test_jhmdb_sub1.json"))


def test_the_guide_names_every_problem():
    guide = (ROOT / "docs/doctor.md").read_text()
    for problem in PROBLEMS.values():
        mark = " x |" if problem.corrected else " |"
        first, last = f"| `{problem.code}` | {problem.severity.name} | {problem.title} |", mark
        assert f"{first} {problem.loading} |{last}" in guide
