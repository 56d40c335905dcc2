"""Whole folders from one format into the other and back."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from helpers.annotations import person
from PIL import Image

from pose_project.data import create_hflip_indices, get_dataset_dicts, get_schema
from pose_project.extras.converters.coco_to_yolo import coco_to_yolo
from pose_project.extras.converters.yolo_to_coco import yolo_to_coco
from pose_project.structures import COCO_PERSON
from pose_project.structures.oks import AREA_SHARE
from pose_project.utils.errors import InputError

NAMES = ("nose", "left_ear", "right_ear")
LINE = "0 0.5 0.5 0.5 0.5 0.5 0.5 2 0.25 0.5 1 0 0 0\n"


def read(path: Path) -> dict:
    return json.loads(Path(path).read_text())


@pytest.fixture
def folder(tmp_path) -> Path:
    """A YOLO dataset: two photos to train on, one of them without a label file, and one to val."""
    root = tmp_path / "pets"
    for place in ("train/a.png", "train/deep/b.png", "val/c.png"):
        photo = root / "images" / place
        photo.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(photo), np.zeros((40, 80, 3), np.uint8))
    for split, name in (("train", "a"), ("val", "c")):
        (root / "labels" / split).mkdir(parents=True)
        (root / f"labels/{split}/{name}.txt").write_text(LINE * 2)
    describe(root)
    return root


def describe(root: Path, **changes: object) -> Path:
    content = {
        "train": "images/train",
        "val": "images/val",
        "test": None,
        "names": {0: "cat"},
        "kpt_shape": [3, 3],
        "flip_idx": [0, 2, 1],
        **changes,
    }
    path = root / "data.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_from_yolo(folder, tmp_path):
    train, val = yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    assert (train.num_photos, train.num_unlabelled, train.num_instances) == (2, 1, 2)
    assert (val.num_photos, val.num_unlabelled, val.num_instances) == (1, 0, 2)
    content = read(train.json_file)
    assert [each["file_name"] for each in content["images"]] == [
        "images/train/a.png",
        "images/train/deep/b.png",
    ]
    assert [each["id"] for each in content["annotations"]] == [1, 2]
    assert content["annotations"][0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [20, 10, 40, 20],
        "keypoints": [40, 20, 2, 20, 20, 1, 0, 0, 0],
        "iscrowd": 0,
        "num_keypoints": 2,
        "area": AREA_SHARE * 800,
    }
    name = f"{train.json_file}@{train.image_root}"
    assert create_hflip_indices(name) == [0, 2, 1]
    assert [len(each["annotations"]) for each in get_dataset_dicts(name, False)] == [2, 0]


@pytest.mark.parametrize("path", ["../pets", "elsewhere/on/another/machine", "{absolute}", "."])
def test_the_root_is_path_or_that_of_the_yaml(folder, tmp_path, path):
    describe(folder, path=path.format(absolute=folder))
    train, _ = yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    assert train.image_root == folder and train.num_photos == 2


def test_splits_as_several_folders_and_as_a_list_of_files(folder, tmp_path):
    (folder / "list.txt").write_text("./images/val/c.png\nimages/train/a.png\n\n")
    describe(folder, train=["images/train", "images/val"], val="list.txt")
    train, val = yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    assert (train.num_photos, val.num_photos, val.num_instances) == (3, 2, 4)


def test_labels_beside_the_photos_where_no_folder_is_called_images(folder, tmp_path):
    (folder / "images").rename(folder / "photos")
    (folder / "photos/train/a.txt").write_text(LINE)
    describe(folder, train="photos/train", val=None)
    (train,) = yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    assert (train.num_photos, train.num_instances) == (2, 1)


def test_photos_that_exif_turns(folder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(folder / "images/val/c.png", exif=exif)
    _, val = yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    (image,) = read(val.json_file)["images"]
    assert (image["width"], image["height"]) == (40, 80)


def test_several_classes_share_what_has_the_same_name(folder, tmp_path):
    points = {0: list(NAMES), 1: ["nose", "left_paw", "right_paw"]}
    describe(folder, names=["cat", "dog"], kpt_names=points)
    (folder / "labels/train/a.txt").write_text(LINE + "1" + LINE[1:])
    train, _ = yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    assert [each["category_id"] for each in read(train.json_file)["annotations"]] == [1, 2]
    schema = get_schema(f"{train.json_file}@{train.image_root}")
    assert schema.names == (*NAMES, "left_paw", "right_paw")
    coco_to_yolo({"train": f"{train.json_file}@{train.image_root}"}, tmp_path / "again")
    again = yaml.safe_load((tmp_path / "again/data.yaml").read_text())
    assert again["names"] == {0: "cat", 1: "dog"} and again["kpt_names"] == points
    labels = (tmp_path / "again/labels/train/train/a.txt").read_text()
    assert labels == LINE + "1" + LINE[1:]


def test_without_flip_idx_the_names_decide_or_a_warning_is_given(folder, tmp_path, caplog):
    describe(folder, flip_idx=None, kpt_names=[list(NAMES)])
    train, _ = yolo_to_coco(folder / "data.yaml", tmp_path / "named")
    assert "no 'flip_idx'" not in caplog.text
    assert create_hflip_indices(f"{train.json_file}@{train.image_root}") == [0, 2, 1]
    describe(folder, flip_idx=None)
    with caplog.at_level(logging.WARNING):
        yolo_to_coco(folder / "data.yaml", tmp_path / "unnamed")
    assert "no 'flip_idx'" in caplog.text


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (LINE + "\n" + LINE[:20], r"labels/train/a.txt, line 3: \d numbers; class, box and"),
        (LINE[:-2] + "x\n", r"labels/train/a.txt, line 1: not only numbers"),
        ("\x00", r"labels/train/a.txt, line 1: not only numbers"),
    ],
)
def test_a_wrong_line_stops_everything(folder, tmp_path, label, message):
    (folder / "labels/train/a.txt").write_text(label)
    with pytest.raises(InputError, match=message):
        yolo_to_coco(folder / "data.yaml", tmp_path / "coco")
    assert not (tmp_path / "coco").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": None, "val": None}, "names no photos: it has none of train, val, test"),
        ({"val": "labels"}, "there are no photos of val in .*labels"),
        ({"val": 5}, "5 is not a folder of photos"),
        ({"val": "data.yaml"}, "photos that .*data.yaml names are not there"),
    ],
)
def test_splits_that_are_not_there(folder, tmp_path, changes, message):
    describe(folder, **changes)
    with pytest.raises(InputError, match=message):
        yolo_to_coco(folder / "data.yaml", tmp_path / "coco")


@pytest.mark.parametrize(
    "content", [b"", b"[", b"5", b"\xff\xfe\x00", b"a: !!python/name:os.system"]
)
def test_files_that_are_no_description(tmp_path, content):
    path = tmp_path / "data.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data.yaml (is not YAML|describes no dataset)"):
        yolo_to_coco(path, tmp_path / "coco")


def coco(write_dataset, *annotations: dict, **options: object) -> str:
    json_file, photos = write_dataset(list(annotations), **{"names": NAMES, **options})
    return f"{json_file}@{photos}"


def three(annotation_id: int = 1, **changes: object) -> dict:
    return person(annotation_id=annotation_id, num_keypoints=3, **changes)


def test_there_and_back(write_dataset, tmp_path):
    annotations = [
        three(1, keypoints=[12.25, 17, 2, 40, 45.5, 1, 0, 0, 0]),
        three(2, image_id=3, bbox=[0, 0, 80, 64], keypoints=[0, 0, 2, 79, 63, 2, 1, 1, 1]),
    ]
    name = coco(write_dataset, *annotations, sizes_hw=((64, 80),) * 3)
    (written,) = coco_to_yolo({"train": name}, tmp_path / "yolo")
    assert written == ("train", 3, 2, 0, 0)
    photos = sorted((tmp_path / "yolo/images/train").iterdir())
    assert [photo.name for photo in photos] == ["1.png", "2.png", "3.png"]
    assert all(photo.is_symlink() and photo.is_file() for photo in photos)
    (back,) = yolo_to_coco(tmp_path / "yolo/data.yaml", tmp_path / "back")
    content = read(back.json_file)
    assert get_schema(f"{back.json_file}@{back.image_root}") == get_schema(name)
    for found, expected in zip(content["annotations"], annotations, strict=True):
        assert found["bbox"] == expected["bbox"] and found["keypoints"] == expected["keypoints"]
        assert found["image_id"] == expected["image_id"]


def test_yolo_has_no_crowds_and_nothing_outside(write_dataset, tmp_path):
    outside = [90, 10, 2, 10, -3, 1, 20, 20, 2]
    annotations = [three(1, iscrowd=1), three(2, keypoints=outside, bbox=[-5, 10, 100, 20])]
    (written,) = coco_to_yolo({"val": coco(write_dataset, *annotations)}, tmp_path / "yolo")
    assert written == ("val", 1, 1, 1, 2)
    assert (tmp_path / "yolo/labels/val/1.txt").read_text() == (
        "0 0.5 0.3125 1 0.3125 0 0 0 0 0 0 0.25 0.3125 2\n"
    )


def test_what_is_missing_is_filled_first(write_dataset, tmp_path):
    bare = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [20, 20, 2, 60, 40, 2, 0, 0, 0]}
    coco_to_yolo({"train": coco(write_dataset, bare)}, tmp_path / "yolo", copy_photos=True)
    (back,) = yolo_to_coco(tmp_path / "yolo/data.yaml", tmp_path / "back")
    (found,) = read(back.json_file)["annotations"]
    assert found["bbox"] == pytest.approx([16.5, 16.5, 48, 28])
    assert not (tmp_path / "yolo/images/train/1.png").is_symlink()


def test_folders_called_images_are_left_out(write_dataset, tmp_path):
    """YOLO takes the last one for the one that becomes labels."""
    name = coco(write_dataset, three())
    json_file, root = map(Path, name.split("@"))
    content = read(json_file)
    content["images"][0]["file_name"] = "images/deep/1.png"
    json_file.write_text(json.dumps(content))
    (root / "images/deep").mkdir(parents=True)
    (root / "1.png").rename(root / "images/deep/1.png")
    coco_to_yolo({"train": name}, tmp_path / "yolo")
    assert (tmp_path / "yolo/images/train/deep/1.png").is_file()
    (back,) = yolo_to_coco(tmp_path / "yolo/data.yaml", tmp_path / "back")
    assert back.num_instances == 1


def test_classes_that_one_shape_cannot_hold(write_dataset, tmp_path):
    name = coco(write_dataset, three())
    json_file = Path(name.partition("@")[0])
    content = read(json_file)
    for other, message in (
        (["tail", "nose"], "one number of keypoints .* 'person' has 3, 'snake' has 2"),
        (["tail", "head", "nose"], "one flip_idx"),
    ):
        snake = {"id": 2, "name": "snake", "keypoints": other}
        path = json_file.with_name(f"{len(other)}.json")
        path.write_text(json.dumps({**content, "categories": [*content["categories"], snake]}))
        with pytest.raises(InputError, match=message):
            coco_to_yolo({"train": name.replace(str(json_file), str(path))}, tmp_path / "yolo")
    assert not (tmp_path / "yolo").exists()


@pytest.mark.parametrize("file_name", ["../1.png", "/etc/1.png"])
def test_photos_elsewhere_are_refused(write_dataset, tmp_path, file_name):
    name = coco(write_dataset, three())
    json_file = Path(name.partition("@")[0])
    content = read(json_file)
    content["images"][0]["file_name"] = file_name
    json_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"1.png is not within"):
        coco_to_yolo({"train": name}, tmp_path / "out/yolo")
    assert not list((tmp_path / "out").iterdir())


def test_an_existing_folder_and_a_missing_photo(write_dataset, tmp_path):
    name = coco(write_dataset, three())
    with pytest.raises(InputError, match="is already there"):
        coco_to_yolo({"train": name}, tmp_path)
    Path(name.partition("@")[2], "1.png").unlink()
    with pytest.raises(InputError, match=r"there is no photo .*1.png"):
        coco_to_yolo({"train": name}, tmp_path / "yolo")
    assert not (tmp_path / "yolo").exists()


def test_real_coco_comes_back_as_it_was(test_data, tmp_path):
    """167 people; skeleton and sigmas come back because the names and their mirror are COCO's."""
    root = test_data / "coco"
    json_file = root / "annotations/person_keypoints_train2017.json"
    coco_to_yolo({"train": f"{json_file}@{root / 'train2017'}"}, tmp_path / "yolo")
    (back,) = yolo_to_coco(tmp_path / "yolo/data.yaml", tmp_path / "back")
    assert get_schema(f"{back.json_file}@{back.image_root}") == COCO_PERSON

    def by_photo(content: dict) -> dict[str, list]:
        names = {each["id"]: Path(each["file_name"]).name for each in content["images"]}
        found: dict[str, list] = {}
        for each in content["annotations"]:
            if not each["iscrowd"]:
                fields = (each["bbox"], each["keypoints"], each["num_keypoints"])
                found.setdefault(names[each["image_id"]], []).append(fields)
        return found

    assert by_photo(read(back.json_file)) == by_photo(read(json_file))
