"""From annotation files to dicts: what Detectron2 makes of valid files, and what others need."""

import json
import logging
import math

import numpy as np
import pytest
from detectron2.data.datasets.coco import load_coco_json
from helpers.annotations import person

from pose_project.data import get_dataset_dicts, register_keypoint_dataset
from pose_project.data.annotation_files import load_annotations
from pose_project.data.dataset_dicts import to_dataset_dicts
from pose_project.data.validation import usable_segmentation
from pose_project.evaluation.scoring import ENGINES, score_results
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

POLYGON = [10.0, 15.0, 44.0, 15.0, 44.0, 49.0, 10.0, 49.0]
NAMES = ("a", "b", "c")


def load(write_dataset, *annotations, **options):
    json_file, photos = write_dataset(list(annotations), **options)
    return get_dataset_dicts(f"{json_file}@{photos}", filter_empty=False)


@pytest.mark.parametrize("split", ["train", "val"])
def test_parity_with_load_coco_json(test_data, split):
    root = test_data / "coco"
    json_file = root / f"annotations/person_keypoints_{split}2017.json"
    ours = to_dataset_dicts(load_annotations(json_file), root / f"{split}2017", COCO_PERSON)
    theirs = load_coco_json(str(json_file), str(root / f"{split}2017"))
    ids = {each["category_id"] for image in theirs for each in image["annotations"]}
    assert ids == {1} and len(ours) == len(theirs)
    for our_image, their_image in zip(ours, theirs, strict=True):
        for each in their_image["annotations"]:
            each["category_id"] -= 1
        assert our_image == their_image


@pytest.mark.parametrize(
    ("segmentation", "usable"),
    [
        (None, None),
        ([], None),
        ([[]], None),
        ([[1, 2, 3, 4]], None),
        ([POLYGON[:7]], None),
        ([POLYGON, [1, 2]], [POLYGON]),
        ([[*POLYGON[:7], math.nan]], None),
        ([[*POLYGON[:7], "49"]], None),
        ("text", None),
        ({"size": [64, 80]}, None),
        ({"size": [80, 64], "counts": [0, 5120]}, None),
        ({"size": [64, 80], "counts": [0, 5119]}, None),
        ({"size": [64, 80], "counts": [-1, 5121]}, None),
        ({"size": [64, 80], "counts": "PPPo2"}, {"size": [64, 80], "counts": "PPPo2"}),
    ],
)
def test_nobody_is_dropped_for_a_segmentation(write_dataset, caplog, segmentation, usable):
    with caplog.at_level(logging.INFO):
        (image,) = load(write_dataset, person(segmentation=segmentation), person(1, 2))
    first, second = image["annotations"]
    assert first.get("segmentation") == usable
    said = [each.getMessage() for each in caplog.records if "without a mask" in each.getMessage()]
    assert len(said) == (usable is None and segmentation not in (None, []))
    assert "segmentation" not in second


def test_an_uncompressed_mask_is_compressed():
    mask = usable_segmentation({"size": [4, 4], "counts": [4, 4, 8]}, (4, 4))
    assert mask["size"] == [4, 4] and isinstance(mask["counts"], bytes)


def empty_row(annotation_id: int, **changes: object) -> dict:
    nothing = {"bbox": [0, 0, 0, 0], "keypoints": [0] * 51, "num_keypoints": 0, "area": 0}
    return person(1, annotation_id, **{**nothing, **changes})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", ["bbox", "keypoints"])
def test_rows_that_hold_nothing_change_no_number(write_dataset, caplog, engine, task):
    people = [person(), person(1, 2, bbox=[30, 20, 20, 30], keypoints=[35, 30, 2] * 17)]
    results = [
        {**{k: each[k] for k in ("image_id", "category_id", "bbox", "keypoints")}, "score": 0.9}
        for each in people
    ]
    results[1]["bbox"] = [32, 22, 20, 30]
    results[1]["keypoints"] = [37, 31, 1] * 17
    json_file, photos = write_dataset(people)
    expected = score_results(json_file, results, task, engine=engine)
    rows = [empty_row(3), empty_row(4, bbox=[5, 5, 0, 9]), empty_row(5, bbox=None)]
    with caplog.at_level(logging.INFO):
        json_file, photos = write_dataset([*people, *rows])
        assert score_results(json_file, results, task, engine=engine).tolist() == expected.tolist()
    assert "left out: 3 without a box or a labelled keypoint" in caplog.text
    (image,) = get_dataset_dicts(f"{json_file}@{photos}")
    assert len(image["annotations"]) == 2


@pytest.mark.parametrize("area", [0, -5, 1e-4, 3.0, 1e6, None])
def test_an_area_that_cannot_be_is_filled(write_dataset, caplog, area):
    with caplog.at_level(logging.INFO):
        json_file, _ = write_dataset([person(area=area)])
        (filled,) = load_annotations(json_file).annotations
    assert filled["area"] == pytest.approx(0.53 * 34 * 34, abs=0.01)
    assert "filled in: area 1 (53% of the box)" in caplog.text


@pytest.mark.parametrize("area", [124.4, 900, 1156, 1101.0])
def test_an_area_that_can_be_stays(write_dataset, area):
    json_file, _ = write_dataset([person(area=area)])
    assert load_annotations(json_file).annotations[0]["area"] == area


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, [1], {}, "x", True])
@pytest.mark.parametrize("place", [3, 4])
def test_whatever_is_unlabelled_may_hold_anything(write_dataset, nothing, place):
    keypoints = [12, 20, 2, 0, 0, 0, 30, 40, 1]
    keypoints[place] = nothing
    (image,) = load(write_dataset, person(keypoints=keypoints, num_keypoints=2), names=NAMES)
    assert image["annotations"][0]["keypoints"] == [12.5, 20.5, 2, 0.5, 0.5, 0, 30.5, 40.5, 1]


def test_visibility_as_true_and_false(write_dataset, caplog):
    keypoints = [12, 20, True, 15, 16, False, 30, 40, True]
    with caplog.at_level(logging.INFO):
        (image,) = load(write_dataset, person(keypoints=keypoints, num_keypoints=2), names=NAMES)
    assert image["annotations"][0]["keypoints"][2::3] == [2, 0, 2]
    assert "filled in: keypoints 1" in caplog.text


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, None, r"annotation 7: keypoints\[0\], x of a, is null, not a number"),
        (4, math.nan, r"annotation 7: keypoints\[4\], y of b, is nan"),
        (6, [1, 2], r"annotation 7: keypoints\[6\], x of c, is \[1, 2\]"),
        (3, True, r"annotation 7: keypoints\[3\], x of b, is True"),
        (2, None, r"annotation 7: keypoints\[2\], v of a, is null"),
        (1, "20", r"annotation 7: keypoints\[1\], y of a, is '20'"),
        (1, 10**400, r"annotation 7: keypoints\[1\], y of a, is 1000"),
    ],
)
def test_what_is_labelled_must_be_numbers(write_dataset, place, value, message):
    keypoints = [12, 20, 2, 15, 25, 2, 30, 40, 1]
    keypoints[place] = value
    with pytest.raises(InputError, match=message):
        load(write_dataset, person(1, 7, keypoints=keypoints), names=NAMES)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("file_name", None, "image 1: file_name is None"),
        ("file_name", 5, "image 1: file_name is 5"),
        ("width", None, "image 1: width is None, not a number of pixels"),
        ("height", 48.5, "image 1: height is 48.5"),
        ("height", 0, "image 1: height is 0"),
    ],
)
def test_what_an_image_lacks_is_named(write_dataset, field, value, message):
    json_file, photos = write_dataset([person()])
    content = json.loads(json_file.read_text())
    content["images"][0][field] = value
    json_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        get_dataset_dicts(f"{json_file}@{photos}")


def test_names_of_windows(write_dataset):
    json_file, photos = write_dataset([person()])
    (photos / "walk").mkdir()
    (photos / "1.png").rename(photos / "walk" / "1.png")
    content = json.loads(json_file.read_text())
    content["images"][0]["file_name"] = "walk\\1.png"
    json_file.write_text(json.dumps(content))
    (image,) = get_dataset_dicts(f"{json_file}@{photos}")
    assert image["file_name"] == str(photos / "walk/1.png")


@pytest.mark.parametrize("kind", ["images", "annotations"])
def test_an_id_that_is_there_twice_is_named(write_dataset, kind):
    json_file, photos = write_dataset([person()])
    content = json.loads(json_file.read_text())
    content[kind].append(content[kind][0])
    json_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"2 {kind} have the id 1; each needs its own"):
        get_dataset_dicts(f"{json_file}@{photos}")


def test_what_belongs_nowhere_is_counted(write_dataset, caplog):
    strangers = [person(9, 2), person(1, 3, category_id=4), person(1, 4, category_id="person")]
    with caplog.at_level(logging.INFO):
        (image,) = load(write_dataset, person(), *strangers)
    assert len(image["annotations"]) == 1
    assert "left out: 1 of an image that is not listed, 2 of a category that is not" in caplog.text


CASES = {
    "area0.json": "area",
    "nan.json": "keypoints",
    "nullpts.json": "keypoints",
    "boolvis.json": "keypoints",
    "cvat7021.json": "without a box or a labelled keypoint",
}


@pytest.mark.parametrize("name", [*CASES, "seg_half.json"])
def test_files_of_real_tools_train_and_score_as_the_right_one(test_data, name, caplog):
    cases = test_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip("the small inputs that were read wrongly are not at hand")
    register_keypoint_dataset("right", cases / "base.json", cases / "photos")
    register_keypoint_dataset("case", cases / name, cases / "photos")
    right = get_dataset_dicts("right")
    with caplog.at_level(logging.INFO):
        case = get_dataset_dicts("case")
    assert CASES.get(name, "without a mask") in caplog.text or name == "seg_half.json"
    theirs = {_key(image, each): each for image in right for each in image["annotations"]}
    ours = {_key(image, each): each for image in case for each in image["annotations"]}
    assert ours.keys() <= theirs.keys()
    assert len(theirs) - len(ours) == (12 if name == "cvat7021.json" else 0)
    for key, each in ours.items():
        points, expected = (np.reshape(e["keypoints"], (-1, 3)) for e in (each, theirs[key]))
        labelled = points[:, 2] > 0
        assert (points[labelled, :2] == expected[labelled, :2]).all()
        assert (labelled != (expected[:, 2] > 0)).sum() <= (name in ("nan.json", "nullpts.json"))


def _key(image, annotation):
    return image["image_id"], tuple(annotation["bbox"])
