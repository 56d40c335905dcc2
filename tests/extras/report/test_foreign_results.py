"""Results in the forms of other tools are those of COCO's form, to the last bit."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.annotations import person

from pose_project.extras.report.foreign_results import read_any_results
from pose_project.extras.report.input_files import read_results, read_truth
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

NAMES = ("a.jpg", "day 1/000007.jpg", "day 2/000012.png", "day 2/b.c.jpg")
FIRST = 40


def truth_of(folder: Path, **category: object) -> Any:
    content = {
        "images": [
            {"id": id_, "file_name": name, "width": 80, "height": 64}
            for id_, name in enumerate(NAMES, FIRST)
        ],
        "annotations": [person(id_, id_) for id_ in range(FIRST, FIRST + len(NAMES))],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names), **category}
        ],
    }
    path = folder / "truth.json"
    path.write_text(json.dumps(content))
    return read_truth(path)


@pytest.fixture
def truth(tmp_path) -> Any:
    return truth_of(tmp_path)


def coco_results() -> list[dict]:
    """Two people in the first image and one in each other; no two numbers are the same."""
    results = []
    for number, image in enumerate((0, 0, 1, 2, 3)):
        points = np.arange(51.0).reshape(17, 3) / 2 + number + 2
        points[:, 2] = np.linspace(0.3, 0.9, 17) - number / 100
        results.append(
            {
                "image_id": FIRST + image,
                "category_id": 1,
                "keypoints": points.flatten().tolist(),
                "score": 0.9 - number / 8,
                "bbox": [1.5 + number, 2.0, 30.25, 40.5],
            }
        )
    return results


def file_name(result: dict) -> str:
    return NAMES[result["image_id"] - FIRST]


def alphapose(result: dict) -> dict:
    rest = {key: result[key] for key in ("category_id", "keypoints", "score")}
    name = Path(file_name(result)).name
    return {"image_id": name, **rest, "box": result["bbox"], "idx": [0.0]}


def ultralytics(result: dict) -> dict:
    stem = Path(file_name(result)).stem
    return {**result, "image_id": int(stem) if stem.isnumeric() else stem}


def mmpose(result: dict) -> dict:
    x, y, width, height = result["bbox"]
    points = np.reshape(result["keypoints"], (17, 3))
    return {
        "keypoints": points[:, :2].tolist(),
        "keypoint_scores": points[:, 2].tolist(),
        "bbox": [[x, y, x + width, y + height]],
        "bbox_score": result["score"],
    }


OPENPOSE_TO_COCO = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]  # BODY_25


def openpose(result: dict) -> dict:
    points = np.zeros((25, 3))
    points[OPENPOSE_TO_COCO] = np.reshape(result["keypoints"], (17, 3))
    return {
        "person_id": [-1],
        "pose_keypoints_2d": points.flatten().tolist(),
        "face_keypoints_2d": [],
    }


def openpifpaf(result: dict) -> dict:
    return {key: result[key] for key in ("keypoints", "bbox", "score", "category_id")}


def ultralytics_json(result: dict) -> dict:
    x, y, width, height = result["bbox"]
    points = np.reshape(result["keypoints"], (17, 3))
    return {
        "name": "person",
        "class": 0,
        "confidence": result["score"],
        "box": {"x1": x, "y1": y, "x2": x + width, "y2": y + height},
        "keypoints": dict(zip(("x", "y", "visible"), points.T.tolist(), strict=True)),
    }


def by_file(convert: Callable, key: Callable = file_name, wrap: Callable = list) -> dict:
    files: dict[str, list] = {name: [] for name in map(key, coco_results())}
    for each in coco_results():
        files[key(each)].append(convert(each))
    return {name: wrap(people) for name, people in files.items()}


def nested(result: dict) -> dict:
    return {**result, "keypoints": np.reshape(result["keypoints"], (17, 3)).tolist()}


def windows(result: dict) -> dict:
    return {**result, "image_id": "C:\\photos\\" + file_name(result).replace("/", "\\")}


def all_of(convert: Callable) -> list[dict]:
    return [convert(each) for each in coco_results()]


FORMS = {
    "AlphaPose": (all_of(alphapose), "AlphaPose; images are told by their file names."),
    "AlphaPose, by file": (
        by_file(openpose, wrap=lambda people: {"version": "AlphaPose v0.3", "people": people}),
        "OpenPose; images are told by their file names.",
    ),
    "Ultralytics": (
        all_of(ultralytics),
        "COCO; images are told by the numbers in their file names and their file names without",
    ),
    "Ultralytics, with names": (
        [{**ultralytics(each), "file_name": Path(file_name(each)).name} for each in coco_results()],
        "COCO; images are told by their file names.",
    ),
    "Ultralytics, own JSON": (by_file(ultralytics_json), "Ultralytics; images are told by their"),
    "MMPose": (by_file(mmpose), "MMPose; images are told by their file names."),
    "OpenPifPaf": (by_file(openpifpaf), "COCO; images are told by their file names."),
    "nested keypoints": (all_of(nested), "COCO; images are told by their ids."),
    "a list of lists": ([all_of(windows)], "COCO; images are told by their file names."),
    "Windows paths": (all_of(windows), "COCO; images are told by their file names."),
    "a list in an object": ({"results": all_of(windows)}, "COCO; images are told by their file"),
    "a COCO file of its own": (
        {
            "images": [{"id": n, "file_name": name} for n, name in enumerate(NAMES)],
            "annotations": [{**r, "image_id": r["image_id"] - FIRST} for r in coco_results()],
            "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names)}],
        },
        "COCO; images are told by their file names.",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_another_tool(truth, tmp_path, name):
    content, note = FORMS[name]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    check(path, truth, note)


def check(path: Path, truth: Any, note: str) -> None:
    results, (first, *_) = read_any_results(path, truth)
    assert first.startswith(f"Results in the form of {note}")
    expected = coco_results()
    points = [np.reshape(each["keypoints"], (17, 3)) for each in expected]
    if "MMPose" in first:  # rescored by its keypoints
        for each, own in zip(expected, points, strict=True):
            each["score"] *= own[own[:, 2] > 0.2, 2].mean()
    if "OpenPose" in first:
        for each, own in zip(expected, points, strict=True):
            each["score"] = own[:, 2].sum() / 25
            del each["bbox"]
    key = json.dumps
    for found, wanted in zip(
        sorted(results, key=lambda r: key(r["keypoints"])),
        sorted(expected, key=lambda r: key(r["keypoints"])),
        strict=True,
    ):
        assert found["keypoints"] == wanted["keypoints"] and found.keys() >= wanted.keys()
        assert found["image_id"] == wanted["image_id"] and found["category_id"] == 1
        assert found["score"] == pytest.approx(wanted["score"])
        assert found.get("bbox") == wanted.get("bbox")
    assert len(read_results(path, truth).predictions[0]) == len(expected)


FOLDERS = {
    "OpenPose": (openpose, "{stem}_keypoints.json", lambda people: {"people": people}),
    "MMPose": (mmpose, "{stem}.json", list),
    "COCO": (openpifpaf, "{name}.predictions.json", list),
}


@pytest.mark.parametrize("tool", FOLDERS)
def test_a_folder_with_a_file_an_image(truth, tmp_path, tool):
    convert, pattern, wrap = FOLDERS[tool]
    folder = tmp_path / "results"
    folder.mkdir()
    for name, content in by_file(convert, lambda r: Path(file_name(r)).name, wrap).items():
        file = folder / pattern.format(name=name, stem=Path(name).stem)
        file.write_text(json.dumps(content))
    (folder / "picture.png").touch()
    check(folder, truth, f"{tool}; images are told by their file names")


def test_the_file_of_one_image(truth, tmp_path):
    path = tmp_path / "a.jpg.predictions.json"
    path.write_text(json.dumps(all_of(openpifpaf)[:2]))
    results, _ = read_any_results(path, truth)
    assert [each["image_id"] for each in results] == [FIRST, FIRST]


def test_results_in_cocos_format_are_left_alone(truth, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(coco_results()))
    assert read_any_results(path, truth) == (coco_results(), [])


def test_classes_that_count_from_0(truth, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**each, "category_id": 0} for each in coco_results()]))
    results, notes = read_any_results(path, truth)
    assert {each["category_id"] for each in results} == {1}
    assert "count from 0" in notes[1]


@pytest.mark.parametrize("how", ["meta_info", "categories"])
def test_keypoints_in_another_order_are_taken_by_name(truth, tmp_path, how):
    order = np.random.default_rng(0).permutation(17)
    names = [COCO_PERSON.names[row] for row in order]
    moved = copy.deepcopy(coco_results())
    for each in moved:
        each["keypoints"] = np.reshape(each["keypoints"], (17, 3))[order].flatten().tolist()
    if how == "meta_info":
        content = {
            "meta_info": {"keypoint_id2name": dict(enumerate(names))},
            "instance_info": moved,
        }
    else:
        content = {"categories": [{"id": 1, "keypoints": names}], "annotations": moved}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    results, notes = read_any_results(path, truth)
    assert [each["keypoints"] for each in results] == [e["keypoints"] for e in coco_results()]
    assert "Keypoints are taken by name: 17 of 17." in notes


def test_keypoints_of_other_names_are_taken_in_their_order_which_is_said(tmp_path):
    truth = truth_of(tmp_path, keypoints=[f"p{n}" for n in range(17)])
    names = dict(enumerate(COCO_PERSON.names))
    content = {"meta_info": {"keypoint_id2name": names}, "instance_info": coco_results()}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    assert "'nose' for 'p0'" in read_any_results(path, truth)[1][1]


def changed(**changes: object) -> list[dict]:
    return [{**each, **changes} for each in coco_results()]


BODY_25 = {"people": [openpose(coco_results()[0])]}


@pytest.mark.parametrize(
    ("content", "category", "message"),
    [
        (changed(image_id="z.jpg"), {}, "5 of 5 results are of images that the ground truth does"),
        (changed(image_id="x/y.jpg")[:1] + all_of(windows), {}, "1 of 6 results .* 'x/y.jpg'"),
        (changed(image_id=99), {}, "photo 99 is not in the ground truth"),
        (changed(keypoints=[1, 2, 1] * 26), {}, "78 numbers, not 51 .*; halpe26 has so many"),
        (changed(keypoints=[[1, 2]] * 14), {}, "42 numbers, not 51 .*crowdpose and aic has so"),
        (changed(keypoints=[0.5] * 51, image_id="a.jpg"), {}, "between -1 and 1, as shares"),
        ({"a.jpg": BODY_25}, {"keypoints": ["nose", "tail"]}, "tail is not among the 25"),
        ({"answer": 42}, {}, "no results that are recognised: its keys are 'answer'"),
        (changed(category_id="dog"), {}, "category 'dog' is not"),
        ([[[[[[[[[[[[]]]]]]]]]]]], {}, "lacks"),
        ({"results": []}, {}, "holds no result: there is nothing"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, content, category, message):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    if category:
        annotations = {"annotations": [person(FIRST, 1, 2)]}
        truth = truth_of(tmp_path, keypoints=list(COCO_PERSON.names))
        file = json.loads((tmp_path / "truth.json").read_text()) | annotations
        file["categories"][0].update(category)
        (tmp_path / "two.json").write_text(json.dumps(file))
        truth = read_truth(tmp_path / "two.json")
    else:
        truth = truth_of(tmp_path)
    with pytest.raises(InputError, match=message):
        read_results(path, truth)


def test_a_name_that_several_images_end_in(tmp_path):
    truth_of(tmp_path)
    file = json.loads((tmp_path / "truth.json").read_text())
    file["images"][0]["file_name"] = "day 9/000007.jpg"
    (tmp_path / "truth.json").write_text(json.dumps(file))
    truth = read_truth(tmp_path / "truth.json")
    path = tmp_path / "results.json"
    path.write_text(json.dumps(changed(image_id="000007.jpg")))
    with pytest.raises(InputError, match="'000007.jpg' is the end of the name of several images"):
        read_any_results(path, truth)
    path.write_text(json.dumps(changed(image_id="/data/day 9/000007.jpg")))
    assert read_any_results(path, truth)[0][0]["image_id"] == FIRST


def test_an_empty_folder(truth, tmp_path):
    with pytest.raises(InputError, match="holds no JSON file"):
        (tmp_path / "empty").mkdir()
        read_any_results(tmp_path / "empty", truth)


def test_the_shared_case_of_alphapose(cases, tmp_path):
    truth = read_truth(cases / "base.json")
    named = read_results(cases / "r_alphapose.json", truth)
    assert named.notes[0] == (
        "Results in the form of AlphaPose; images are told by their file names."
    )
    ids = {name: id_ for id_, name in zip(truth.photos.ids, truth.photos.file_names, strict=True)}
    content = json.loads((cases / "r_alphapose.json").read_text())
    for stem in (False, True):  # as ids, and as Ultralytics has it
        for each in content:
            each["bbox"] = each.pop("box", each.get("bbox"))
            name = str(each["image_id"])
            each["image_id"] = name.removesuffix(".jpg") if stem else int(ids[name])
        path = tmp_path / "results.json"
        path.write_text(json.dumps(content))
        same = read_results(path, truth).predictions[0]
        np.testing.assert_array_equal(same.keypoints, named.predictions[0].keypoints)
        np.testing.assert_array_equal(same.photo, named.predictions[0].photo)
        np.testing.assert_array_equal(same.boxes, named.predictions[0].boxes)
        content = json.loads((cases / "r_alphapose.json").read_text())
