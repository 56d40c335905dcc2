"""What is written is read by the libraries of the tools; skipped where these are not installed."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.drafts import random_draft

from pose_project.extras.labelling.cvat import write_cvat
from pose_project.extras.labelling.label_studio import write_label_studio


def test_label_studio_accepts_config_and_predictions(tmp_path: Path) -> None:
    interfaces = pytest.importorskip("label_studio_sdk.label_interface")
    draft = random_draft()
    draft["annotations"][0]["keypoints"][2] = 1  # occluded, a choice
    tasks, config = write_label_studio(draft, tmp_path, "/data/local-files/?d=")

    interface = interfaces.LabelInterface(config.read_text())
    interface.validate()

    for task in json.loads(tasks.read_text()):
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction, return_errors=True) == []


@pytest.mark.parametrize("form", ["coco_person_keypoints", "cvat"])
def test_datumaro_reads_points_and_attributes(form: str, tmp_path: Path) -> None:
    """CVAT imports COCO through it. Released versions read skeletons of XML as single points."""
    datumaro = pytest.importorskip("datumaro")
    draft = random_draft()
    is_coco = form != "cvat"
    for image in draft["images"]:
        path = tmp_path / "images" / ("default" if is_coco else "") / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((image["height"], image["width"], 3), np.uint8))
    if is_coco:
        (tmp_path / "annotations").mkdir()
        json_file = tmp_path / "annotations" / "person_keypoints_default.json"
        json_file.write_text(json.dumps(draft))
    else:
        (xml, _) = write_cvat(draft, tmp_path / "written")
        shutil.copy(xml, tmp_path / "annotations.xml")
        shutil.rmtree(tmp_path / "written")

    items = datumaro.Dataset.import_from(str(tmp_path), form)

    points = [each for item in items for each in item.annotations if hasattr(each, "visibility")]
    people = draft["annotations"]
    if is_coco:
        ids = {each.attributes["person_id"] for each in points}
        assert ids == {str(each["id"]) for each in people}
        first = next(each for each in points if each.attributes["person_id"] == "1")
        expected = np.reshape(people[0]["keypoints"], (-1, 3))[:, :2]
        np.testing.assert_allclose(np.reshape(first.points, (-1, 2)), expected, atol=0.01)
    else:
        checks = sum(each.attributes["check"] for each in points)
        assert len(points) == 17 * len(people)
        assert checks == sum(len(each["to_check"]) for each in people)


def test_fiftyone_imports_drafts_and_results(tmp_path: Path) -> None:
    """Also skipped where it has no database."""
    try:
        fiftyone = pytest.importorskip("fiftyone")
    except ConnectionError as error:
        pytest.skip(str(error))
    from fiftyone.utils.coco import add_coco_labels

    draft = random_draft()
    photos, labels, results = (
        tmp_path / "photos",
        tmp_path / "draft.json",
        tmp_path / "results.json",
    )
    for image in draft["images"]:
        path = photos / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((image["height"], image["width"], 3), np.uint8))
    labels.write_text(json.dumps(draft))
    results.write_text(json.dumps(draft["annotations"]))

    dataset = fiftyone.Dataset.from_dir(
        dataset_type=fiftyone.types.COCODetectionDataset,
        data_path=str(photos),
        labels_path=str(labels),
        label_types=["keypoints"],
        include_id=True,
    )
    try:
        categories = draft["categories"]
        add_coco_labels(dataset, "found", str(results), categories, label_type="keypoints")
        sizes = {each["id"]: (each["width"], each["height"]) for each in draft["images"]}
        for sample in dataset:
            people = [e for e in draft["annotations"] if e["image_id"] == sample.coco_id]
            for field in (sample.keypoints, sample.found):
                read = [each.points for each in field.keypoints] if field else []
                assert len(read) == len(people)
                for points, person in zip(read, people, strict=True):
                    expected = np.reshape(person["keypoints"], (-1, 3))
                    there = expected[:, 2] > 0
                    found = np.array(points)[there] * sizes[sample.coco_id]
                    np.testing.assert_allclose(found, expected[there, :2], atol=1e-6)
    finally:
        dataset.delete()
