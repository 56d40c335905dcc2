import json
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import MetadataCatalog
from helpers.annotations import person

from pose_project.data import (
    create_hflip_indices,
    get_categories,
    get_dataset_dicts,
    get_schema,
    register_keypoint_dataset,
    resolve_dataset,
)
from pose_project.extras.selective_search.proposal_files import write_proposal_file
from pose_project.structures import COCO_PERSON, KeypointSchema
from pose_project.utils.errors import InputError


def test_registration_is_lazy_and_idempotent(tmp_path):
    for _ in range(2):
        register_keypoint_dataset("lazy", tmp_path / "later.json", tmp_path)
    with pytest.raises(InputError, match=r"no annotations at .*later.json"):
        get_dataset_dicts("lazy")


def test_a_name_with_other_files_is_refused(tmp_path):
    register_keypoint_dataset("taken", tmp_path / "a.json", tmp_path)
    with pytest.raises(InputError, match="already registered"):
        register_keypoint_dataset("taken", tmp_path / "b.json", tmp_path)


def test_schema_comes_from_the_json(write_dataset):
    annotation = person(num_keypoints=3)
    files = write_dataset([annotation], names=("nose", "left_ear", "right_ear"))
    register_keypoint_dataset("pets", *files)
    assert create_hflip_indices("pets") == [0, 2, 1]
    assert get_schema("pets").sigmas_estimated
    assert MetadataCatalog.get("pets").keypoint_names == ["nose", "left_ear", "right_ear"]


def test_a_given_schema_wins(write_dataset):
    schema = KeypointSchema(("a", "b", "c"), oks_sigmas=(0.1, 0.2, 0.3))
    register_keypoint_dataset("given", *write_dataset([person(num_keypoints=3)]), schema)
    assert get_schema("given") == schema


def test_coco_is_detectron2s_own_registration():
    metadata = MetadataCatalog.get("keypoints_coco_2017_val")
    if Path(metadata.json_file).exists():
        pytest.skip("COCO is here")
    assert metadata.get("keypoint_oks_sigmas") is None  # importing this package changes nothing
    with pytest.raises(InputError, match=r"DETECTRON2_DATASETS.*tools/prepare_coco.py"):
        get_schema("keypoints_coco_2017_val")


def test_coco_schema_has_coco_sigmas(write_dataset):
    register_keypoint_dataset("people", *write_dataset([person()]))
    assert get_schema("people").oks_sigmas == COCO_PERSON.oks_sigmas


def test_dicts_are_half_a_pixel_further_than_the_file(write_dataset):
    register_keypoint_dataset("people", *write_dataset([person()]))
    (photo,) = get_dataset_dicts("people", min_keypoints=1)
    assert photo["annotations"][0]["keypoints"][:3] == [12.5, 17.5, 2]


def test_photos_without_people_or_keypoints_are_left_out(write_dataset):
    annotations = [
        person(image_id=1, annotation_id=1),
        person(image_id=2, annotation_id=2, keypoints=[0] * 51, num_keypoints=0),
        person(image_id=3, annotation_id=3, iscrowd=1),
    ]
    register_keypoint_dataset("some", *write_dataset(annotations, sizes_hw=((64, 80),) * 4))
    assert [p["image_id"] for p in get_dataset_dicts("some", min_keypoints=1)] == [1]
    assert [p["image_id"] for p in get_dataset_dicts("some")] == [1, 2]
    assert len(get_dataset_dicts("some", filter_empty=False)) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not in COCO's format"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "has no keypoints"),
    ],
)
def test_files_that_are_no_keypoint_dataset(tmp_path, content, message):
    path = tmp_path / "broken.json"
    path.write_text(content)
    register_keypoint_dataset("broken", path, tmp_path)
    with pytest.raises(InputError, match=message):
        get_dataset_dicts("broken", min_keypoints=1)


def test_nobody_labelled(write_dataset):
    files = write_dataset([person(keypoints=[0] * 51, num_keypoints=0)])
    register_keypoint_dataset("nobody", *files)
    with pytest.raises(InputError, match="nobody"):
        get_dataset_dicts("nobody", min_keypoints=1)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match=r"did you mean keypoints_coco_2017_val\?"):
        resolve_dataset("keypoint_coco_2017_val")


def test_datasets_with_other_keypoints_do_not_mix(write_dataset, tmp_path):
    json_file, photos = write_dataset([person()])
    register_keypoint_dataset("seventeen", json_file, photos)
    other = json.loads(json_file.read_text())
    other["categories"][0]["keypoints"] = ["a", "b"]
    other["annotations"] = []
    (tmp_path / "two.json").write_text(json.dumps(other))
    register_keypoint_dataset("two", tmp_path / "two.json", photos)
    with pytest.raises(InputError, match="do not have the same keypoints"):
        get_schema(["seventeen", "two"])


def test_other_lines_and_sigmas_are_no_hindrance_to_mixing(write_dataset, tmp_path):
    json_file, photos = write_dataset([person()])
    register_keypoint_dataset("plain", json_file, photos)
    other = json.loads(json_file.read_text())
    other["categories"][0] |= {"skeleton": [[1, 2]], "oks_sigmas": [0.05] * 17}
    (tmp_path / "lines.json").write_text(json.dumps(other))
    register_keypoint_dataset("lines", tmp_path / "lines.json", photos)
    assert get_schema(["plain", "lines"]).num_keypoints == 17


def test_real_coco(test_data):
    root = test_data / "coco"
    for split, with_keypoints in (("train", 28), ("val", 35)):
        name = f"real_{split}"
        json_file = root / "annotations" / f"person_keypoints_{split}2017.json"
        register_keypoint_dataset(name, json_file, root / f"{split}2017")
        assert len(get_dataset_dicts(name, min_keypoints=1)) == with_keypoints
        assert get_schema(name) == COCO_PERSON


def add_categories(json_file, *categories) -> None:
    content = json.loads(json_file.read_text())
    content["categories"] = [*categories, *content["categories"]]
    json_file.write_text(json.dumps(content))


def test_categories_without_keypoints_do_not_count(write_dataset):
    """A dog before the person must not turn the person into class 1, which means background."""
    annotations = [person(category_id=1), person(annotation_id=2, category_id=0)]
    json_file, photos = write_dataset(annotations)
    add_categories(json_file, {"id": 0, "name": "dog"})
    register_keypoint_dataset("walk", json_file, photos)
    (photo,) = get_dataset_dicts("walk")
    assert [each["category_id"] for each in photo["annotations"]] == [0]
    assert MetadataCatalog.get("walk").thing_classes == ["person"]


def cat_and_person(write_dataset) -> tuple[Path, Path]:
    cat = person(annotation_id=2, category_id=5, keypoints=[1, 2, 2, 3, 4, 1], num_keypoints=2)
    json_file, photos = write_dataset([person(), cat])
    add_categories(json_file, {"id": 5, "name": "cat", "keypoints": ["tail", "nose"]})
    return json_file, photos


def test_categories_with_other_keypoints_share_rows_by_name(write_dataset):
    register_keypoint_dataset("mixed", *cat_and_person(write_dataset))
    (photo,) = get_dataset_dicts("mixed", min_keypoints=1)
    assert get_schema("mixed").names == (*COCO_PERSON.names, "tail")
    assert create_hflip_indices("mixed") == [*COCO_PERSON.hflip_indices, 17]
    human, cat = (np.reshape(each["keypoints"], (-1, 3)) for each in photo["annotations"])
    assert human.shape == cat.shape == (18, 3)
    assert human[17].tolist() == [0, 0, 0]
    assert cat[[0, 17]].tolist() == [[3.5, 4.5, 1], [1.5, 2.5, 2]]
    assert not cat[1:17].any()


def test_a_category_with_the_number_of_points_of_another(write_dataset):
    json_file, photos = cat_and_person(write_dataset)
    content = json.loads(json_file.read_text())
    content["annotations"][1]["keypoints"] *= 2
    json_file.write_text(json.dumps(content))
    register_keypoint_dataset("confused", json_file, photos)
    with pytest.raises(InputError, match="annotation 2: keypoints are not 2 times three"):
        get_dataset_dicts("confused")


@pytest.mark.parametrize(
    "category",
    [
        {"oks_sigmas": [0.1] * 5},
        {"oks_sigmas": [-1] * 17},
        {"flip_pairs": [["a", "b"]]},
        {"flip_pairs": [[1, 40]]},
        {"skeleton": [["nose", "left_eye"]]},
        {"skeleton": 3},
    ],
)
def test_inconsistent_categories_name_their_file(write_dataset, category):
    register_keypoint_dataset("odd", *write_dataset([person()], **category))
    with pytest.raises(InputError, match=r"annotations.json: the category's keypoints are wrong"):
        get_schema("odd")


def test_ids_that_could_name_files_elsewhere_are_refused(write_dataset):
    json_file, photos = write_dataset([person(image_id="../../1")])
    content = json.loads(json_file.read_text())
    content["images"][0]["id"] = "../../1"
    json_file.write_text(json.dumps(content))
    register_keypoint_dataset("escaping", json_file, photos)
    with pytest.raises(InputError, match="its id is not a whole number"):
        get_dataset_dicts("escaping")


def test_a_file_larger_than_memory_is_not_read(tmp_path):
    huge = tmp_path / "huge.json"
    with open(huge, "wb") as stream:
        stream.truncate(2**42)  # takes no room on the disk
    register_keypoint_dataset("huge", huge, tmp_path)
    with pytest.raises(InputError, match=r"huge\.json would take about \d+ GB of memory"):
        get_dataset_dicts("huge")


def test_each_dataset_has_its_own_file_of_proposals(write_dataset, tmp_path):
    """Both use image id 1; a photo that is filtered out needs no proposals."""
    files = write_dataset([person()], sizes_hw=((64, 80), (64, 80)))
    names, proposals = ["first", "second"], []
    for place, name in enumerate(names):
        register_keypoint_dataset(name, *files)
        proposals.append(str(tmp_path / f"{name}.pkl"))
        write_proposal_file(proposals[-1], [1], [np.array([[0, 0, 5 + place, 5]])])
    photos = get_dataset_dicts(names, proposal_files=proposals)
    assert [photo["proposal_boxes"].tolist() for photo in photos] == [
        [[0, 0, 5, 5]],
        [[0, 0, 6, 5]],
    ]
    with pytest.raises(InputError, match="first.pkl is of another dataset: .* image id 2"):
        get_dataset_dicts("first", filter_empty=False, proposal_files=proposals[0])
    with pytest.raises(InputError, match="1 proposal_files for 2 datasets"):
        get_dataset_dicts(names, proposal_files=proposals[0])


@pytest.mark.parametrize("name", ["synthetic_demo_val_7", "keypoints_coco_2017_val"])
def test_what_is_predicted_is_known_without_the_files(name, synthetic_cache):
    (category,) = get_categories(name)
    assert category["id"] == 1 and category["name"] == "person"
    assert KeypointSchema.from_coco_category(category).hflip_indices == COCO_PERSON.hflip_indices
    assert not list(synthetic_cache.glob("synthetic_demo_val_7*"))


def test_what_is_predicted_keeps_the_ids_of_the_file(write_dataset):
    annotation = person(num_keypoints=3, category_id=5)
    json_file, photos = write_dataset([annotation], names=("nose", "left_ear", "right_ear"), id=5)
    (before,) = get_categories(f"{json_file}@{photos}")
    get_dataset_dicts(f"{json_file}@{photos}")
    (after,) = get_categories(f"{json_file}@{photos}")
    assert before == after
    assert (before["id"], before["keypoints"]) == (5, ["nose", "left_ear", "right_ear"])
