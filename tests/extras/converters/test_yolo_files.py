"""Where images and labels of YOLO datasets are found, and what is said if they are not."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pose_project.extras.converters.yolo_to_coco import Converted, yolo_to_coco
from pose_project.extras.known_schemas.published import KNOWN_SCHEMAS
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

LINE = "0 0.5 0.5 0.5 0.5 0.5 0.5 2 0.25 0.5 1 0 0 0\n"
IMAGE = cv2.imencode(".png", np.zeros((40, 80, 3), np.uint8))[1].tobytes()


def put(root: Path, *places: str, text: str = LINE) -> None:
    """Write images and text files at places below a folder."""
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text(text)
        else:
            path.write_bytes(IMAGE)


def describe(root: Path, **content: object) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "data.yaml"
    path.write_text(yaml.safe_dump({"names": ["cat"], "kpt_shape": [3, 3], **content}))
    return path


def convert(data_yaml: Path) -> list[Converted]:
    return yolo_to_coco(data_yaml, data_yaml.parent / "out")


@pytest.fixture
def pets(tmp_path) -> Path:
    """An export in Roboflow's layout: two images to train on and one of another name to val."""
    root = tmp_path / "work/pets"
    put(root, "train/images/a.png", "train/images/b.png", "valid/images/c.png")
    put(root, "train/labels/a.txt", "train/labels/b.txt", "valid/labels/c.txt")
    return root


@pytest.mark.parametrize(
    ("path", "train", "val"),
    [
        (None, "train/images", "valid/images"),
        (None, "../train/images", "../valid/images"),
        (None, "../../train/images", "../../valid/images"),
        (None, "train", "valid"),
        (None, ["train/images"], ["../valid/images"]),
        ("pets", "train/images", "valid/images"),
        ("../pets", "train/images", "valid/images"),
        ("/content/datasets/pets", "train/images", "valid/images"),
        ("", "train/images", "valid/images"),
        (5, "train/images", "valid/images"),
        (None, "/content/pets/train/images", "/content/pets/valid/images"),
        (None, "/home/her/cats-v7/train/images", "/home/her/cats-v7/valid/images"),
        (None, r"..\train\images", r"..\valid\images"),
        (None, r"C:\Users\her\pets\train\images", r"C:\Users\her\pets\valid\images"),
        (r"D:\pets", r"train\images", "./valid/images/"),
        ("..", "pets/train/images", "pets/valid/images"),
        (None, "pets/train/images", "pets/valid/images"),
        (None, "elsewhere/train", "elsewhere/valid"),
        (None, "/data/images", "/data/images"),
    ],
)
def test_what_data_yaml_may_say(pets, path, train, val):
    declared = {} if path is None else {"path": path}
    first, second = convert(describe(pets, train=train, val=val, **declared))
    assert (first.num_photos, first.num_instances) == (2, 2)
    assert (second.num_photos, second.num_instances) == (1, 1)
    for each in (first, second):
        for image in json.loads(each.json_file.read_text())["images"]:
            assert not Path(image["file_name"]).is_absolute()
            assert (each.image_root / image["file_name"]).is_file()


@pytest.mark.parametrize("key", ["val", "valid", "validation"])
def test_names_of_the_validation_split(pets, key):
    written = convert(describe(pets, train="train", **{key: "valid"}))
    assert [each.json_file.name for each in written] == ["train.json", "val.json"]


def test_a_dataset_that_was_unpacked_into_a_folder_below(pets):
    (pets / "data").mkdir()
    for name in ("train", "valid"):
        (pets / name).rename(pets / "data" / name)
    first, _ = convert(describe(pets, train="../train/images", val="../valid/images"))
    assert first.num_instances == 2 and first.image_root == pets


def test_a_path_relative_to_the_working_folder_and_its_datasets(pets, tmp_path, monkeypatch):
    for place in ("work", "code"):  # Ultralytics keeps datasets in ../datasets
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        data = describe(tmp_path / "yamls", path="pets", train="train", val="valid")
        assert convert(data)[0].image_root == pets
        (tmp_path / "datasets").mkdir(exist_ok=True)
        pets = pets.rename(tmp_path / "datasets/pets")


def test_another_dataset_in_the_folder_above_is_named(pets, caplog):
    """``../train`` is what it says, as for Ultralytics; the one that it may mean is named."""
    put(pets.parent, "train/images/x.png", "train/labels/x.txt")
    with caplog.at_level(logging.WARNING):
        first, _ = convert(describe(pets, train="../train/images", val="valid"))
    assert first.num_photos == 1
    assert f"there is also {pets / 'train/images'}" in caplog.text


@pytest.mark.parametrize(
    "lines",
    [
        "./train/images/a.png\n./train/images/b.png\n",
        "train/images/a.png\ntrain/images/b.png\n\n",
        "{root}/train/images/a.png\n{root}/train/images/b.png",
        "/content/pets/train/images/a.png\r\n/content/pets/train/images/b.png\r\n",
        "C:\\pets\\train\\images\\a.png\r\nC:\\pets\\train\\images\\b.png\r\n",
        "\ufeffimages/a.png\nimages/b.png\nimages/b.png\n",
    ],
)
def test_lists_of_images(pets, lines, caplog):
    (pets / "train.txt").write_text(lines.format(root=pets), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        first, _ = convert(describe(pets, train="/content/train.txt", val="valid"))
    assert (first.num_photos, first.num_instances) == (2, 2)
    assert ("named more than once" in caplog.text) == (lines.count("b.png") == 2)


def test_a_list_in_another_folder_is_relative_to_itself(pets):
    put(pets, "lists/train.txt", text="../train/images/a.png\n")
    (first,) = convert(describe(pets, train="lists/train.txt"))
    assert first.num_photos == 1


def test_images_of_a_list_that_are_not_there(pets):
    put(pets, "train.txt", text="train/images/a.png\nold/x.png\nold/y.png\n")
    message = r"2 of 3 photos that .*train.txt names are not there \(first: 'old/x.png'\), neither"
    with pytest.raises(InputError, match=message):
        convert(describe(pets, train="train.txt"))
    assert not (pets / "out").exists()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"train": "nowhere"}, "train is 'nowhere', which is not at .*pets/nowhere, and no folder"),
        ({"train": "../away/photos"}, "not at .*work/away/photos nor at .*pets/away/photos, and"),
        ({"train": "x", "path": "/other"}, "train is 'x', which is not at .*pets/x"),
        ({"test": "/data/images"}, "test is '/data/images', which is not at"),
        ({"train": "/"}, "train is '/'"),
        ({"train": "train", "val": "test/images"}, "val is 'test/images', which is not at"),
        ({"train": []}, "names no photos"),
        ({"train": [""]}, "is not a folder of photos or a list"),
        ({"train": {"a": "b"}}, "is not a folder of photos or a list"),
        ({"train": "train\0"}, "train is"),
    ],
)
def test_what_is_not_found_is_named_with_where_it_was_looked_for(pets, entries, message):
    with pytest.raises(InputError, match=message):
        convert(describe(pets, **entries))


def test_several_places_that_may_be_meant_are_named(tmp_path):
    put(tmp_path, "cats/images/a.png", "dogs/images/b.png")
    with pytest.raises(InputError, match=r"may be any of .*cats/images, .*dogs/images; write one"):
        convert(describe(tmp_path, train="/pets/images"))


def test_two_splits_found_at_one_place_are_refused(tmp_path):
    put(tmp_path, "images/a.png", "labels/a.txt")
    data = describe(tmp_path, train="/x/a/images", val="/x/b/images")
    with pytest.raises(InputError, match=r"train \('/x/a/images'\) and val .* are both found at"):
        convert(data)
    first, second = convert(describe(tmp_path, train="images", val="images"))  # written on purpose
    assert first.num_instances == second.num_instances == 1


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("train/image/a.png", "train/labels/a.txt"),
        ("train/image/a.png", "train/label/a.txt"),
        ("train/photos/a.png", "train/labels/a.txt"),
        ("train/JPEGImages/a.png", "train/labels/a.txt"),
        ("JPEGImages/train/a.png", "labels/train/a.txt"),
        ("train/a.png", "train/labels/a.txt"),
        ("train/a.png", "labels/train/a.txt"),
        ("train/a.png", "labels/a.txt"),
        ("train/a.png", "train/a.txt"),
        ("train/images/a.png", "train/images/a.txt"),
        ("train/images/cam 1/a.png", "train/labels/cam 1/a.txt"),
        ("train/photos/cam/day/a.png", "train/labels/cam/day/a.txt"),
        ("train/photos/cam/a.png", "labels/train/photos/cam/a.txt"),
    ],
)
def test_labels_beside_any_folder_of_images(tmp_path, image, label):
    put(tmp_path, image, label)
    top = image.split("/")[0]
    (written,) = convert(describe(tmp_path, train=top))
    assert written.num_instances == 1


def test_labels_of_images_beside_the_description(tmp_path):
    put(tmp_path, "a.png", "labels/a.txt")
    assert convert(describe(tmp_path, train="."))[0].num_instances == 1


def test_all_images_of_a_folder_have_their_labels_in_one_place(tmp_path):
    """A caption beside an image that has no label is not one."""
    put(tmp_path, "train/images/a.png", "train/images/b.png", "train/labels/a.txt")
    put(tmp_path, "train/images/b.txt", text="a cat on a mat")
    (written,) = convert(describe(tmp_path, train="train"))
    assert (written.num_photos, written.num_unlabelled, written.num_instances) == (2, 1, 1)


def test_a_split_without_labels_is_an_error_that_says_where(tmp_path):
    put(tmp_path, "train/image/a.png", "train/notes/a.txt", "train/labels/7f3-a.txt")
    message = (
        "none of the 1 photos of train has a label file; a.txt was looked for in .*train/image, "
        ".*train/labels.*labels holds 1 of other names, such as 7f3-a.txt"
    )
    with pytest.raises(InputError, match=message):
        convert(describe(tmp_path, train="train/image"))
    assert not (tmp_path / "out").exists()


def test_a_split_whose_labels_name_nobody_is_an_error(tmp_path):
    put(tmp_path, "images/a.png")
    put(tmp_path, "labels/a.txt", text="\n")
    with pytest.raises(InputError, match="train: the label files of all 1 photos name nobody"):
        convert(describe(tmp_path, train="images"))


def test_what_is_missing_moved_or_not_read_is_counted(tmp_path, caplog):
    put(tmp_path, "images/a.png", "images/b.png", "images/c.psd", "images/d.PSD")
    empty = "0 0.5 0.5 0 0" + " 0" * 9
    text = f"{LINE}{empty}\n{LINE.replace('0.25', '-0.003')}"
    put(tmp_path, "labels/a.txt", text="\ufeff" + text)
    with caplog.at_level(logging.WARNING):
        (written,) = convert(describe(tmp_path, train="images"))
    assert written.num_instances == 2
    for part in (
        "1 of 2 photos of train have no label file and show nobody (first: ",
        "train: files that are not read: 2 .psd",
        "train: 1 keypoints just outside their photo: now at its edge",
        "train: 1 lines without a box or a keypoint: left out",
    ):
        assert part in caplog.text


PEOPLE = {"kpt_shape": [17, 3], "kpt_names": {0: list(COCO_PERSON.names)}}
SWAPPED = [0, 2, 1, *range(3, 17)]


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ({**PEOPLE, "flip_idx": list(range(17))}, "does not exchange left_eye/right_eye, left_ear"),
        ({**PEOPLE, "flip_idx": SWAPPED}, "does not exchange left_ear/right_ear, left_shoulder"),
        ({**PEOPLE, "flip_idx": list(COCO_PERSON.hflip_indices)}, ""),
        ({"kpt_shape": [17, 3], "flip_idx": list(range(17))}, "as many as those of coco and ap10k"),
        ({"kpt_shape": [21, 3], "flip_idx": list(range(21))}, ""),
        ({"kpt_shape": [2, 3], "flip_idx": [0, 1]}, ""),
    ],
)
def test_flip_idx_that_does_not_exchange_left_and_right(tmp_path, content, warning, caplog):
    put(tmp_path, "images/a.png")
    count = content["kpt_shape"][0]
    put(tmp_path, "labels/a.txt", text="0 0.5 0.5 0.5 0.5" + " 0.5 0.5 2" * count)
    with caplog.at_level(logging.WARNING):
        convert(describe(tmp_path, train="images", **content))
    assert warning in caplog.text and bool(caplog.text) == bool(warning)


def test_the_mirror_of_a_published_schema_is_none_of_nobody():
    assert not KNOWN_SCHEMAS["hand21"].schema.flip_pairs


@pytest.mark.parametrize(("name", "splits"), [("roboflow", 2), ("image_folder", 1)])
def test_shared_cases(cases, tmp_path, name, splits):
    written = yolo_to_coco(cases / name / "data.yaml", tmp_path)
    assert [(each.num_photos, each.num_instances) for each in written] == [(1, 1)] * splits
    for each in written:
        for image in json.loads(each.json_file.read_text())["images"]:
            assert (each.image_root / image["file_name"]).is_file()
