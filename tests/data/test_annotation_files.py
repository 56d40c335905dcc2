import json
import logging
import weakref
from pathlib import Path

import pytest
from detectron2.data import MetadataCatalog
from helpers.annotations import person

from pose_project.data import count_classes, count_keypoints, get_dataset_dicts
from pose_project.data.annotation_files import load_annotations, release_annotations
from pose_project.data.filling import fill_annotation
from pose_project.evaluation import PoseEvaluator
from pose_project.evaluation.scoring import ENGINES, score_results
from pose_project.utils.errors import InputError

NAMES = ("a", "b", "c")
KEYPOINTS = [10, 20, 2, 50, 40, 1, 0, 0, 0]


def bare(annotation_id: int = 1, **changes: object) -> dict:
    """An annotation with nothing but keypoints."""
    known = {"id": annotation_id, "image_id": 1, "category_id": 1, "keypoints": KEYPOINTS}
    return {**known, **changes}


def whole(annotation_id: int = 2, **changes: object) -> dict:
    return person(annotation_id=annotation_id, num_keypoints=3, **changes)


@pytest.fixture
def write(write_dataset):
    """Write three-keypoint annotations; return the dataset's name."""

    def make(*annotations: dict, **options: object) -> str:
        json_file, photos = write_dataset(list(annotations), names=NAMES, **options)
        return f"{json_file}@{photos}"

    return make


def json_of(name: str) -> str:
    return name.partition("@")[0]


def test_a_complete_file_is_used_as_it_is(write):
    annotations = load_annotations(json_of(write(whole())))
    assert annotations.annotations == annotations.content["annotations"] == [whole()]
    assert annotations.describe_changes() == ""


def test_what_is_missing_is_filled_beside_the_content(write):
    annotations = load_annotations(json_of(write(bare(), whole())))
    assert annotations.annotations == [fill_annotation(bare(), 3, (80, 64))[0], whole()]
    assert annotations.content["annotations"] == [bare(), whole()]


def test_a_file_is_read_once_until_it_changes_or_is_released(write):
    name = write(bare())
    first = load_annotations(json_of(name))
    get_dataset_dicts(name)
    assert PoseEvaluator(name).annotations is load_annotations(json_of(name)) is first
    release_annotations()
    assert load_annotations(json_of(name)) is first  # it is held here
    held = weakref.ref(first)
    del first
    release_annotations()
    assert held() is None
    write(whole(), whole(3))
    assert [each["id"] for each in load_annotations(json_of(name)).annotations] == [2, 3]


@pytest.mark.parametrize("order", [1, -1])
def test_each_annotation_decides_for_itself(write, order):
    """The first one, complete or not, says nothing about the others."""
    name = write(*[bare(), whole()][::order])
    (photo,) = get_dataset_dicts(name)
    boxes = [each["bbox"] for each in photo["annotations"]][::order]
    assert boxes[1] == [10, 15, 34, 34]
    assert boxes[0] == pytest.approx([6.5, 16.5, 48, 28])
    assert [each["iscrowd"] for each in photo["annotations"]] == [0, 0]


def test_one_line_says_what_was_filled(write, caplog):
    with caplog.at_level(logging.INFO, logger="pose_project"):
        name = write(bare(), bare(2, bbox=[1, 1, 9, 9]), whole(3), bare(4, keypoints=[0] * 9))
        get_dataset_dicts(name)
        PoseEvaluator(name)
        release_annotations()
        load_annotations(json_of(name))
    (line,) = [record.message for record in caplog.records if "filled in:" in record.message]
    assert line.endswith(
        "annotations.json: 4 annotations; filled in: iscrowd 2, num_keypoints 2, bbox 1 (around "
        "the keypoints, margin 10%), area 2 (53% of the box); left out: 1 without a box or a "
        "labelled keypoint"
    )


def results_of(annotations: list[dict], shift: float) -> list[dict]:
    return [
        {
            "image_id": 1,
            "category_id": 1,
            "bbox": each["bbox"],
            "score": 0.9,
            "keypoints": [v + shift * (i % 3 < 2) for i, v in enumerate(each["keypoints"])],
        }
        for each in annotations
    ]


@pytest.mark.parametrize("task", ["bbox", "keypoints"])
def test_scores_are_those_of_the_file_written_out(write, task):
    """Both engines, the completed copy against the same annotations filled beforehand."""
    annotations = [bare(), whole(), bare(3, keypoints=[30, 5, 2, 60, 50, 2, 70, 60, 2])]
    filled = [fill_annotation(each, 3, (80, 64))[0] for each in annotations]
    results = results_of(filled, shift=2)
    json_file = Path(json_of(write(*annotations)))
    other = json_file.with_name("filled.json")
    other.write_text(json.dumps({**json.loads(json_file.read_text()), "annotations": filled}))
    scores = {
        (engine, path): score_results(path, results, task, [0.1] * 3, engine).tolist()
        for engine in ENGINES
        for path in (json_file, other)
    }
    expected = scores["pycocotools", other]
    assert 0 < expected[0] <= 1 and (task == "bbox" or expected[0] < 1)
    for found in scores.values():
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_annotation_with_id_0_counts(write, engine):
    """A match with id 0 is not a match to pycocotools: half of these boxes would be missed."""
    annotations = [whole(0), whole(1, bbox=[50, 15, 20, 34])]
    json_file = json_of(write(*annotations))
    stats = score_results(json_file, results_of(annotations, 0), "bbox", engine=engine)
    assert stats[0] == pytest.approx(1)


def test_categories_without_keypoints_are_neither_counted_nor_read(write):
    """CVAT writes each label as a category, those without a skeleton with an empty list."""
    name = write(bare(category_id=2), bare(2, category_id=1, keypoints=None, bbox=[1, 2, 9, 9]))
    json_file = Path(json_of(name))
    content = json.loads(json_file.read_text())
    box_only = {"id": 1, "name": "box", "keypoints": [], "skeleton": []}
    content["categories"] = [box_only, {**content["categories"][0], "id": 2}]
    json_file.write_text(json.dumps(content))
    assert (count_keypoints(name), count_classes(name)) == (3, 1)
    (photo,) = get_dataset_dicts(name)
    assert [each["category_id"] for each in photo["annotations"]] == [0]
    assert MetadataCatalog.get(name).thing_classes == ["person"]


def test_nothing_left_is_an_error(write):
    name = write(bare(keypoints=[0] * 9))
    with pytest.raises(InputError, match="cannot be used"):
        get_dataset_dicts(name)


@pytest.mark.parametrize("name", ["@", "a.json@", "@photos"])
def test_half_a_path_says_what_to_set(name):
    with pytest.raises(InputError, match="set custom.train_json, custom.val_json"):
        get_dataset_dicts(name)


def test_a_path_with_the_separator_in_it(write_dataset, tmp_path):
    json_file, photos = write_dataset([whole()], names=NAMES)
    odd = tmp_path / "a@b.json"
    json_file.rename(odd)
    photos.rename(tmp_path / "c@d")
    (photo,) = get_dataset_dicts(f"{odd}@{tmp_path / 'c@d'}")
    assert Path(photo["file_name"]).is_file()


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no annotations at nowhere.json. Put the data there$"):
        get_dataset_dicts(f"nowhere.json@{tmp_path}")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="no photos at nowhere"):
        get_dataset_dicts(f"{tmp_path / 'a.json'}@nowhere")
