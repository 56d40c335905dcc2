"""The tool as its users call it, on files made up here and on real ones."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.constructed_results import inject, place, result, truth_of
from helpers.repository import load_tool

from pose_project.evaluation import METRICS
from pose_project.extras.report.analysis import analyse, write_json

PLOTS = {"calibration", "keypoint_errors", "pck", "precision_recall", "slices"}


@pytest.fixture(autouse=True)
def few_drawings(monkeypatch):
    """A thousand drawings take seconds each time."""
    monkeypatch.setattr("pose_project.extras.report.analysis.RESAMPLES", 30)


@pytest.fixture
def files(tmp_path):
    """Write a ground truth of 4 photos and two results; return their paths."""
    rng = np.random.default_rng(0)
    truth = truth_of(4, 2, rng)
    contents = {"truth": truth}
    for name in ("first", "second"):
        contents[name], _ = inject(truth, rng, missed=1, extra=2)
    return {name: write(tmp_path / f"{name}.json", content) for name, content in contents.items()}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def analyze(files: dict, output: Path, *more: str) -> int:
    command = ["--annotations", files["truth"], "--results", files["first"], "--output", output]
    return load_tool("analyze").main([*map(str, command), *more])


def report_of(files: dict, compared: str | None = None, seed: int = 0) -> dict:
    """The report as its file holds it, without the pictures, which take seconds."""
    other = None if compared is None else files[compared]
    path = files["truth"].with_name("report.json")
    write_json(analyse(files["truth"], files["first"], other, seed=seed), path)
    return json.loads(path.read_text())


def test_report_of_one_run(files, tmp_path, capsys):
    assert analyze(files, tmp_path / "report") == 0
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert report["schema_version"] == 1
    assert report["comparison"] is None
    for task, numbers in report["headline"].items():
        assert list(numbers) == [metric.key for metric in METRICS[task]]
        for number in numbers.values():
            if number["value"] is not None:
                assert number["low"] <= number["high"]
    names = {path.stem for path in (tmp_path / "report").glob("*.png")}
    assert names == PLOTS
    printed = capsys.readouterr().out
    ap = report["headline"]["keypoints"]["AP"]["value"]
    assert re.search(rf"0.50:0.95 \| all +\| +20 \| +{ap:.1f} \|", printed)
    assert f"| AP          | {ap:.1f} |" in (tmp_path / "report/report.md").read_text()


def test_the_same_seed_gives_the_same_report(files):
    same, again, other = (
        {**report_of(files, seed=seed), "provenance": None, "settings": None} for seed in (3, 3, 4)
    )
    assert same == again != other


def test_two_runs_are_compared_on_the_same_drawings(files, tmp_path):
    assert analyze(files, tmp_path / "other", "--compare", str(files["second"])) == 0
    comparison = json.loads((tmp_path / "other/report.json").read_text())["comparison"]
    assert (tmp_path / "other/comparison.png").exists()
    rows = {(row["task"], row["metric"]): row for row in comparison["headline"]}
    assert len(rows) == 22
    ap = rows["keypoints", "AP"]
    assert ap["delta"] == pytest.approx(ap["second"] - ap["first"])
    assert ap["low"] <= ap["delta"] <= ap["high"]
    assert "second.json" in (tmp_path / "other/report.md").read_text()
    # a run compared with itself differs in nothing, in no drawing
    comparison = report_of(files, "first")["comparison"]
    for row in comparison["headline"]:
        assert (row["delta"] or 0) == (row["low"] or 0) == (row["high"] or 0) == 0
        assert not row["clear"]
    assert comparison["photos"] == {"better": [], "worse": []}


def test_what_moved_is_named(files):
    """The other run finds the person whom this one missed, and puts one nose elsewhere."""
    truth = json.loads(files["truth"].read_text())
    perfect = [
        result(place(number % 2), person["image_id"], 0.9)
        for number, person in enumerate(truth["annotations"])
    ]
    write(files["first"], perfect[1:])
    moved = place(1)
    labelled = np.reshape(truth["annotations"][7]["keypoints"], (17, 3))[:, 2] > 0
    keypoint = int(np.flatnonzero(labelled)[0])
    moved[keypoint] += 500
    write(files["second"], [*perfect[:7], result(moved, 4, 0.9)])
    report = report_of(files, "second")
    better, worse = (
        report["comparison"]["photos"]["better"],
        report["comparison"]["photos"]["worse"],
    )
    assert [(row["id"], row["delta"]) for row in better] == [(1, pytest.approx(0.5))]
    assert [(row["id"], row["delta"]) for row in worse] == [(4, pytest.approx(-0.5 / 15))]
    (rows,) = report["comparison"]["keypoints"]
    lost = min(rows, key=lambda row: row["AP"])
    assert lost["keypoint"] == report["categories"][0]["keypoint_names"][keypoint]


BAD = {
    "not JSON": ("hello", "is not JSON"),
    "no list": (5, "are a list"),
    "no results": ({"answer": 42}, "no results that are recognised: its keys are 'answer'"),
    "empty": ([], "holds no result"),
    "another photo": ([{**result(place(0), 99, 0.5)}], "photo 99 is not in the ground truth"),
    "NaN": ([{**result(place(0), 1, float("nan"))}], "score holds NaN"),
    "wrong K": ([{**result(place(0), 1, 0.5), "keypoints": [1, 2, 1]}], "3 numbers, not 51"),
    "another category": ([{**result(place(0), 1, 0.5), "category_id": 7}], "category 7 is not"),
    "boxes only": ([{"image_id": 1, "category_id": 1, "score": 1}], "lacks"),
    "a word": ([{**result(place(0), 1, 0.5), "score": "0.5"}], "not a number"),
    "words": ([{**result(place(0), 1, 0.5), "keypoints": ["x"] * 51}], "not a number"),
    "true": ([result(place(0), True, 0.5)], "not a whole number"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_results_are_one_line(files, tmp_path, capsys, name):
    content, message = BAD[name]
    write(files["first"], content)
    check_refused(files, tmp_path, capsys, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda truth: truth.pop("images"), "no list 'images'"),
        (lambda truth: truth["images"].clear(), "has no photos"),
        (lambda truth: truth["images"].append(truth["images"][0]), "2 images have the id 1"),
        (lambda truth: truth["categories"][0].pop("keypoints"), "has no keypoints"),
        (lambda truth: truth["annotations"][2].update(bbox=[1, 2]), "annotation 3: bbox"),
        (lambda truth: truth["annotations"][2].update(id=1), "2 annotations have the id 1"),
        (lambda truth: truth["categories"][0].update(oks_sigmas=[0]), "OKS sigmas"),
    ],
)
def test_wrong_ground_truth_is_one_line(files, tmp_path, capsys, change, message):
    truth = json.loads(files["truth"].read_text())
    change(truth)
    write(files["truth"], truth)
    check_refused(files, tmp_path, capsys, message)


def test_a_file_larger_than_the_memory(files, tmp_path, capsys):
    with open(files["first"], "r+b") as stream:
        stream.truncate(2**40)  # has holes, takes no room
    check_refused(files, tmp_path, capsys, "GB of memory")


def test_wrong_folders(files, tmp_path, capsys):
    check_refused(files, tmp_path, capsys, "is not a folder", "--images", str(tmp_path / "nowhere"))
    check_refused(
        files, tmp_path, capsys, "nowhere.json", "--compare", str(tmp_path / "nowhere.json")
    )
    assert analyze(files, files["truth"]) == 2
    assert "is a file" in capsys.readouterr().err


def check_refused(files: dict, tmp_path: Path, capsys, message: str, *more: str) -> None:
    output = tmp_path / "report"
    assert analyze(files, output, *more) == 2
    captured = capsys.readouterr()
    (line,) = [each for each in captured.err.splitlines() if "error: " in each]
    assert message in line
    assert "Traceback" not in captured.err + captured.out
    assert not output.exists()


def test_what_other_models_leave_out_is_taken_and_mentioned(files):
    """Top-down models: no boxes, logits for scores, absent points of zeros."""
    results = json.loads(files["first"].read_text())
    for number, each in enumerate(results):
        del each["bbox"]
        each["score"] = 3.0 - number
        each["keypoints"][:3] = [0, 0, 0]
        each["keypoints"][5] = 4.0
    write(files["first"], results)
    report = report_of(files)
    assert list(report["headline"]) == ["keypoints"]
    calibration = report["categories"][0]["calibration"]
    assert calibration["instances"]["ece"] is calibration["keypoints"]["ece"] is None
    for words in ("no boxes", "no probabilities", "absent points"):
        assert any(words in note for note in report["notes"])


def test_names_are_no_markup(files, tmp_path):
    truth = json.loads(files["truth"].read_text())
    truth["categories"][0]["name"] = "<script>alert(1)</script>|a_b\n# x"
    truth["categories"][0]["keypoints"][0] = "<img src=x>|$_nose"
    write(files["truth"], truth)
    assert analyze(files, tmp_path / "report") == 0
    text = (tmp_path / "report/report.md").read_text()
    assert "<script" not in text and "<img" not in text
    assert "\n# x" not in text
    (row,) = [line for line in text.splitlines() if "src=x" in line]
    assert "\\|$\\_nose" in row


@pytest.mark.integration
def test_several_categories(files, tmp_path):
    """A hand of three keypoints beside the people, with a name that both have."""
    truth = json.loads(files["truth"].read_text())
    hand = {"id": 2, "name": "hand", "keypoints": ["wrist", "left_tip", "right_tip"]}
    other = {"id": 9, "name": "ball"}
    truth["categories"] = [other, {**hand, "oks_sigmas": [0.1, 0.1, 0.1]}, *truth["categories"]]
    points = [[2000, 3000, 2], [2200, 3000, 2], [2400, 3000, 1]]
    annotation = {"id": 100, "image_id": 1, "category_id": 2, "bbox": [2000, 3000, 400, 10]}
    truth["annotations"].append({**annotation, "area": 1e4, "keypoints": sum(points, [])})
    write(files["truth"], truth)
    results = json.loads(files["first"].read_text())
    swapped = [points[0], points[2], points[1]]
    found = {"image_id": 1, "category_id": 2, "bbox": [2000, 3000, 400, 10], "score": 0.5}
    results += [
        {**found, "keypoints": sum(swapped, [])},
        {**found, "category_id": 9, "keypoints": []},
    ]
    write(files["first"], results)
    assert analyze(files, tmp_path / "report") == 0
    report = json.loads((tmp_path / "report/report.json").read_text())
    person, of_hand = report["categories"]
    assert (person["name"], of_hand["name"]) == ("person", "hand")
    kinds = of_hand["diagnosis"]["keypoints"]
    assert (kinds["good"], kinds["inversion"]) == (1, 2)
    mean = (person["summary"]["AP"] + of_hand["summary"]["AP"]) / 2
    assert report["headline"]["keypoints"]["AP"]["value"] == pytest.approx(mean)
    assert any("without keypoints" in note for note in report["notes"])
    assert (tmp_path / "report/pck_1.png").exists()


@pytest.mark.parametrize(
    "name", ["crowdpose/test_crowdpose", "horse10/test_horse10", "jhmdb/test_jhmdb_sub1"]
)
def test_other_skeletons(test_data, tmp_path, name):
    """Ground truth as its own result: 100, wherever fields are missing."""
    path = test_data / "custom" / f"{name}.json"
    truth = json.loads(path.read_text())
    results = [
        {key: each[key] for key in ("image_id", "category_id", "bbox", "keypoints")}
        | {"score": 0.5}
        for each in truth["annotations"]
        if any(each["keypoints"])
    ]
    files = {
        "truth": write(tmp_path / "truth.json", truth),
        "first": write(tmp_path / "own.json", results),
    }
    report = report_of(files)
    (category,) = report["categories"]
    assert report["headline"]["keypoints"]["AP"]["value"] == pytest.approx(100)
    counts = category["diagnosis"]["keypoints"]
    # where two labelled points of a dataset coincide, the right place is the nearest as well
    assert counts["good"] == sum(counts.values()) > 0
    has_head = "head" in category["keypoints"]["rows"][0]["pck"]
    assert has_head == ("horse" not in name)
