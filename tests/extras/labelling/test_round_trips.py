"""What is written for a tool comes back as it was; what a person changed is counted."""

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from helpers.drafts import random_draft

from pose_project.data.annotation_files import load_annotations
from pose_project.extras.labelling.corrections import Corrections, correct
from pose_project.extras.labelling.cvat import write_cvat
from pose_project.extras.labelling.exports import read_export
from pose_project.extras.labelling.label_studio import write_label_studio
from pose_project.utils.errors import InputError

LABELS = ("id", "image_id", "category_id", "keypoints", "bbox")


def write_export(draft: dict[str, Any], tool: str, folder: Path) -> Path:
    """Write what a tool would export if nothing of a draft was changed."""
    if tool == "cvat":
        return write_cvat(draft, folder)[0]
    if tool == "cvat-zip":
        xml = write_cvat(draft, folder)[0]
        with ZipFile(folder / "task.zip", "w") as archive:
            archive.write(xml, "annotations.xml")
        return folder / "task.zip"
    if tool == "label-studio":
        tasks = json.loads(write_label_studio(draft, folder, "http://host/")[0].read_text())
        for number, task in enumerate(tasks):
            # what submitting a prediction makes of it
            task["annotations"] = [{"id": number, "result": task.pop("predictions")[0]["result"]}]
        path = folder / "export.json"
        path.write_text(json.dumps(tasks))
        return path
    content = copy.deepcopy(draft)
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = 1000 + number  # CVAT numbers them anew
        for key in ("score", "keypoint_scores", "to_check"):
            del annotation[key]
    path = folder / "coco.json"
    path.write_text(json.dumps(content))
    return path


def read_back(draft: dict[str, Any], path: Path) -> Corrections:
    return correct(draft, read_export(path)[0])


@pytest.mark.parametrize("tool", ["cvat", "cvat-zip", "label-studio", "coco"])
@pytest.mark.parametrize("seed", range(3))
def test_an_untouched_draft_comes_back_exactly(tool: str, seed: int, tmp_path: Path) -> None:
    draft = random_draft(seed)

    result = read_back(draft, write_export(draft, tool, tmp_path))

    expected = [{key: each[key] for key in LABELS} for each in draft["annotations"]]
    assert [
        {key: each[key] for key in LABELS} for each in result.content["annotations"]
    ] == expected
    assert result.content["images"] == draft["images"]
    assert result.photos == {"unchanged": 3}
    assert result.people == {"kept": 5}
    assert result.points == {"same": 85}


@pytest.mark.parametrize("tool", ["cvat", "label-studio", "coco"])
def test_changes_are_counted_and_taken(tool: str, tmp_path: Path) -> None:
    draft = random_draft()
    edited = copy.deepcopy(draft)
    first, second, third, *_ = edited["annotations"]
    first["keypoints"][0] += 7.0  # nose moved
    first["keypoints"][3 * 1 + 2] = 1  # left eye hidden
    second["keypoints"][3 * 2 : 3 * 3] = [0, 0, 0]  # right eye removed
    edited["annotations"].remove(third)
    added = copy.deepcopy(first) | {"id": 900, "attributes": {}}
    added["keypoints"][0::3] = [x + 90 for x in added["keypoints"][0::3]]
    edited["annotations"].append(added)

    result = read_back(draft, write_export(edited, tool, tmp_path))

    assert result.people == {"kept": 4, "removed": 1, "added": 1}
    assert result.points == {"moved": 1, "visibility": 1, "removed": 1, "same": 4 * 17 - 3}
    ids = [each["id"] for each in result.content["annotations"]]
    assert sorted(ids) == [1, 2, 4, 5, 6]
    by_id = {each["id"]: each for each in result.content["annotations"]}
    assert by_id[1]["keypoints"][0] == pytest.approx(first["keypoints"][0])
    assert by_id[1]["keypoints"][5] == 1
    assert by_id[2]["keypoints"][6:9] == [0, 0, 0]
    assert by_id[2]["num_keypoints"] == 16
    assert result.photos["unchanged"] == 1


def test_points_to_check_are_counted_apart(tmp_path: Path) -> None:
    draft = random_draft()
    edited = copy.deepcopy(draft)
    checked = {(each["id"], name) for each in draft["annotations"] for name in each["to_check"]}
    names = draft["categories"][0]["keypoints"]
    for annotation in edited["annotations"]:
        for row, name in enumerate(names):
            annotation["keypoints"][3 * row + 1] += 2.0 * ((annotation["id"], name) in checked)

    result = read_back(draft, write_export(edited, "cvat", tmp_path))

    assert result.to_check == {"moved": len(checked)}
    assert result.points["moved"] == len(checked)


def test_who_has_no_id_is_found_by_the_points(tmp_path: Path) -> None:
    draft = random_draft(counts=(4,))
    edited = copy.deepcopy(draft)
    edited["annotations"].reverse()
    for each in edited["annotations"]:
        each["attributes"] = {}
        each["keypoints"] = [round(value) for value in each["keypoints"]]  # whole pixels

    result = read_back(draft, write_export(edited, "coco", tmp_path))

    assert [each["id"] for each in result.content["annotations"]] == [4, 3, 2, 1]
    places = {each["id"]: each["keypoints"] for each in draft["annotations"]}
    assert all(each["keypoints"] == places[each["id"]] for each in result.content["annotations"])


def test_a_copy_of_somebody_is_somebody_else(tmp_path: Path) -> None:
    draft = random_draft(counts=(1,))
    path = write_export(draft, "cvat", tmp_path)
    tree = ElementTree.parse(path)
    image = tree.find("image")
    image.append(copy.deepcopy(image.find("skeleton")))
    tree.write(path)

    result = read_back(draft, path)

    assert [each["id"] for each in result.content["annotations"]] == [1, 2]
    assert result.people == {"kept": 1, "added": 1}


def test_a_box_is_filled_in_where_points_were_moved(tmp_path: Path) -> None:
    draft = random_draft(counts=(1,))
    draft["annotations"][0]["keypoints"][0] = 10.0
    edited = copy.deepcopy(draft)
    edited["annotations"][0]["keypoints"][0] = 300.0

    result = read_back(draft, write_export(edited, "cvat", tmp_path))

    corrected = tmp_path / "corrected.json"
    corrected.write_text(json.dumps(result.content))
    (loaded,) = load_annotations(corrected).annotations
    x, _, width, _ = loaded["bbox"]
    assert x + width > 300 and loaded["area"] > 0


def test_label_studio_regions_of_the_editor(tmp_path: Path) -> None:
    """Ids with the annotation's behind ``#``, the last submission, tasks nobody has submitted."""
    draft = random_draft()
    path = write_export(draft, "label-studio", tmp_path)
    tasks = json.loads(path.read_text())
    for region in tasks[0]["annotations"][0]["result"]:
        region["id"] += "#xyz"
        if "parentID" in region:
            region["parentID"] += "#xyz"
    old = {"id": 77, "updated_at": "2020-01-01", "result": []}
    tasks[0]["annotations"][0]["updated_at"] = "2024-01-01"
    tasks[0]["annotations"].append(old)
    tasks[1]["annotations"] = []
    tasks[2]["annotations"][0]["result"][0]["id"] = "gone"  # its points have no rectangle
    path.write_text(json.dumps(tasks))

    photos, left = read_export(path)
    result = correct(draft, photos)

    assert left == {"tasks that nobody has submitted": 1, "keypoints without a rectangle": 17}
    assert result.photos == {"corrected": 1, "unchanged": 1, "not exported": 1}
    assert [each["id"] for each in result.content["annotations"]][:2] == [1, 2]


def test_yolo_comes_back(tmp_path: Path) -> None:
    from pose_project.extras.labelling.drafts import write_draft
    from pose_project.inference.sources import Source

    draft = random_draft(counts=(2, 1))
    photos = tmp_path / "photos"
    sources = []
    for image in draft["images"]:
        path = photos / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((image["height"], image["width"], 3), np.uint8))
        sources.append(Source(path, image["file_name"]))

    _, data_yaml = write_draft(draft, "yolo", tmp_path / "out", sources, "")
    result = read_back(draft, data_yaml)

    assert result.people == {"kept": 3} and result.points == {"same": 51}
    assert [each["keypoints"] for each in result.content["annotations"]] == [
        each["keypoints"] for each in draft["annotations"]
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", "<annotations><image", "is not XML"),
        ("a.xml", "<html></html>", "CVAT for images 1.1"),
        ("a.xml", "<annotations><track/></annotations>", "it holds tracks"),
        ("a.xml", "<annotations><image name='x' width='a' height='1'/></annotations>", "x cannot"),
        ("a.json", '[{"data": {}}]', "task 1 cannot be read"),
        ("a.json", '{"images": 3}', "COCO's keypoint format"),
        ("a.csv", "x", "is not an export that is known"),
    ],
)
def test_bad_exports_are_refused_in_one_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_export(path)


def test_other_categories_and_keypoints_are_refused(tmp_path: Path) -> None:
    draft = random_draft(counts=(1,))
    path = write_export(draft, "cvat", tmp_path)
    text = path.read_text()
    for old, new, message in (
        ('skeleton label="person"', 'skeleton label="cat"', "category 'cat'"),
        ('points label="nose"', 'points label="snout"', "keypoint 'snout'"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=message):
            read_back(draft, path)
