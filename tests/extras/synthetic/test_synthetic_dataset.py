"""The dataset on disk: repeatable, whole or absent, valid COCO, and as hard as its level says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from pose_project.extras.synthetic import generation
from pose_project.extras.synthetic.generation import ensure_synthetic_dataset, synthetic_photo
from pose_project.extras.synthetic.levels import LEVELS
from pose_project.structures.schema import COCO_PERSON, KeypointSchema
from pose_project.utils.errors import InputError

NUM_STATISTICS = 100


def files_of(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_synthetic_dataset("full", "train", 6, tmp_path_factory.mktemp("cache"))


def test_layout_is_cocos(small_set: Path) -> None:
    assert small_set.name.startswith("synthetic_full_train_6_")
    assert sorted(files_of(small_set)) == [
        "annotations/person_keypoints_train2017.json",
        *(f"train2017/{number:012d}.jpg" for number in range(1, 7)),
    ]
    data = json.loads((small_set / "annotations/person_keypoints_train2017.json").read_text())
    assert KeypointSchema.from_coco_category(data["categories"][0]) == COCO_PERSON
    assert [min(line) >= 1 for line in data["categories"][0]["skeleton"]] == [True] * 19
    assert [image["id"] for image in data["images"]] == list(range(1, 7))


def test_larger_set_from_other_processes_begins_with_the_same_bytes(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "_FEWEST_FOR_A_POOL", 1)
    monkeypatch.setattr(generation, "_CHUNK", 4)
    larger = ensure_synthetic_dataset("full", "train", 8, tmp_path)
    small, large = files_of(small_set), files_of(larger)
    name = "annotations/person_keypoints_train2017.json"
    small_json, large_json = json.loads(small.pop(name)), json.loads(large.pop(name))
    assert len(large) == 8 and small.items() <= large.items()
    assert large_json["images"][:6] == small_json["images"]
    number = len(small_json["annotations"])
    assert large_json["annotations"][:number] == small_json["annotations"]


def test_same_call_elsewhere_gives_the_same_files(small_set: Path, tmp_path: Path) -> None:
    again = ensure_synthetic_dataset("full", "train", 6, tmp_path)
    assert again.name == small_set.name
    assert files_of(again) == files_of(small_set)


def test_splits_and_levels_share_no_photo_and_splits_no_id() -> None:
    photos = [synthetic_photo(*which, 0) for which in (("demo", "train"), ("demo", "val"))]
    photos.append(synthetic_photo("full", "train", 0))
    assert len({photo.tobytes() for photo, _ in photos}) == 3
    train, val = ({a["image_id"] for a in annotations} for _, annotations in photos[:2])
    assert train and val and not train & val


def test_cached_set_is_not_made_again(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "_write_dataset", lambda *_: pytest.fail("made again"))
    monkeypatch.setenv("POSE_PROJECT_CACHE", str(small_set.parent))
    assert ensure_synthetic_dataset("full", "train", 6) == small_set


def test_another_generator_version_makes_another_set(
    small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "GENERATOR_VERSION", generation.GENERATOR_VERSION + 1)
    assert generation._fingerprint("full", "train") != small_set.name.rsplit("_", 1)[1]


def test_failure_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_late(level: str, split: str, index: int) -> Any:
        if index == 2:
            assert len(list(tmp_path.rglob("*.jpg"))) == 2
            raise OSError("disk full")
        return synthetic_photo(level, split, index)

    monkeypatch.setattr(generation, "synthetic_photo", fail_late)
    with pytest.raises(OSError, match="disk full"):
        ensure_synthetic_dataset("demo", "val", 4, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_loser_of_a_race_takes_the_winners_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = generation._write_dataset

    def write_while_another_wins(root: Path, *arguments: Any) -> None:
        write(root, *arguments)
        monkeypatch.setattr(generation, "_write_dataset", write)
        winner = ensure_synthetic_dataset("demo", "val", 2, tmp_path)
        (winner / "winner").touch()

    monkeypatch.setattr(generation, "_write_dataset", write_while_another_wins)
    root = ensure_synthetic_dataset("demo", "val", 2, tmp_path)
    assert (root / "winner").exists()
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("easy", "train", 4), "unknown level 'easy'.*demo, full"),
        (("demo", "test", 4), "unknown split 'test'.*train, val"),
        (("demo", "train", 0), "1 or more, got 0"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        ensure_synthetic_dataset(*arguments, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_negative_index() -> None:
    with pytest.raises(InputError, match="0 or more, got -1"):
        synthetic_photo("demo", "train", -1)


@pytest.fixture(scope="module", params=LEVELS)
def level_and_coco(request: pytest.FixtureRequest) -> tuple[str, COCO]:
    """Return a level's name and the first photos of its training split, without their pixels."""
    coco = COCO()
    coco.dataset = {
        "images": [],
        "annotations": [],
        "categories": [COCO_PERSON.to_coco_category(1, "person")],
    }
    for index in range(NUM_STATISTICS):
        photo, annotations = synthetic_photo(request.param, "train", index)
        image = {"id": index + 1, "height": photo.shape[0], "width": photo.shape[1]}
        coco.dataset["images"].append(image)
        coco.dataset["annotations"] += annotations
    coco.createIndex()
    return request.param, coco


def people_of(coco: COCO) -> list[dict[str, Any]]:
    return coco.loadAnns(coco.getAnnIds(iscrowd=False))


def test_masks_areas_and_boxes_agree(level_and_coco: tuple[str, COCO]) -> None:
    _, coco = level_and_coco
    for annotation in people_of(coco):
        mask = coco.annToMask(annotation)
        assert abs(int(mask.sum()) - annotation["area"]) <= max(12, 0.03 * annotation["area"])
        x, y, width, height = annotation["bbox"]
        assert mask[int(y) : int(y + height), int(x) : int(x + width)].sum() >= mask.sum() - 12


def test_crowds_decode_to_their_area(level_and_coco: tuple[str, COCO]) -> None:
    _, coco = level_and_coco
    crowds = coco.loadAnns(coco.getAnnIds(iscrowd=True))
    assert crowds
    for annotation in crowds:
        rle = coco.annToRLE(annotation)
        assert int(coco_mask.area(rle)) == annotation["area"] > 0
        assert coco_mask.toBbox(rle).tolist() == annotation["bbox"]
        assert annotation["num_keypoints"] == 0


def test_keypoints_agree_with_their_flags_and_boxes(level_and_coco: tuple[str, COCO]) -> None:
    _, coco = level_and_coco
    for annotation in people_of(coco):
        keypoints = np.reshape(annotation["keypoints"], (17, 3))
        v = keypoints[:, 2]
        assert set(v.tolist()) <= {0, 1, 2}
        assert not keypoints[v == 0].any()
        assert annotation["num_keypoints"] == np.count_nonzero(v)
        image = coco.imgs[annotation["image_id"]]
        assert (keypoints[:, :2] < (image["width"], image["height"])).all()
        x, y, width, height = annotation["bbox"]
        # A joint counts as visible up to 4 pixels from a part that shows it.
        seen = keypoints[v == 2, :2]
        assert (seen >= (x - 4, y - 4)).all() and (seen < (x + width + 4, y + height + 4)).all()


def test_level_is_as_hard_as_it_says(level_and_coco: tuple[str, COCO]) -> None:
    name, coco = level_and_coco
    level = LEVELS[name]
    people = people_of(coco)
    heights = np.array([person["bbox"][3] for person in people])
    assert heights.max() <= level.height_px[1] + 2
    assert heights.min() < 1.2 * level.height_px[0]
    assert heights.max() > 0.8 * level.height_px[1]
    assert all(person["area"] >= level.min_visible_px for person in people)

    counts = [len(coco.getAnnIds(imgIds=image_id, iscrowd=False)) for image_id in coco.imgs]
    assert max(counts) <= len(level.people_weights)
    expected = np.average(1 + np.arange(len(level.people_weights)), weights=level.people_weights)
    assert np.mean(counts) == pytest.approx(expected, rel=0.2)
    empty = sum(not coco.getAnnIds(imgIds=image_id) for image_id in coco.imgs)
    assert 0 < empty / NUM_STATISTICS < 0.06
    sizes = [(image["width"], image["height"]) for image in coco.imgs.values()]
    assert set(sizes) == {(320, 240), (240, 320)}
    assert sizes.count((240, 320)) / NUM_STATISTICS == pytest.approx(level.portrait_share, abs=0.08)

    v = np.array([person["keypoints"][2::3] for person in people])
    occluded = np.count_nonzero(v == 1) / np.count_nonzero(v)
    overlapped = overlapped_share(coco)
    if name == "demo":
        assert 0.05 < occluded < 0.17 and 0.02 < overlapped < 0.2
    else:
        assert 0.15 < occluded < 0.27 and 0.25 < overlapped < 0.45
    truncated = (v == 0).any(axis=1).mean()
    assert 0.02 < truncated < 0.15 if name == "demo" else 0.1 < truncated < 0.4


def overlapped_share(coco: COCO) -> float:
    """Return the share of people whose box has an IoU above 0.1 with another person's."""
    overlapped = 0
    for image_id in coco.imgs:
        people = coco.loadAnns(coco.getAnnIds(imgIds=image_id, iscrowd=False))
        boxes = np.array([person["bbox"] for person in people])
        if len(boxes) > 1:
            ious = coco_mask.iou(boxes, boxes, [0] * len(boxes))
            overlapped += np.count_nonzero((ious - np.eye(len(boxes))).max(axis=1) > 0.1)
    return overlapped / len(people_of(coco))


@pytest.mark.parametrize(("level", "facing"), [("demo", "front"), ("demo", "back")])
def test_seen_face_tells_the_sides_apart(level: str, facing: str) -> None:
    """The nose is visible from the front and hidden from behind, where the sides are swapped."""
    left, right = (COCO_PERSON.names.index(f"{side}_shoulder") for side in ("left", "right"))
    signs = []
    for index in range(20):
        for annotation in synthetic_photo(level, "val", index)[1]:
            keypoints = np.reshape(annotation["keypoints"], (17, 3))
            eyes_seen = keypoints[1, 2] == keypoints[2, 2] == 2
            eyes_hidden = keypoints[1, 2] == keypoints[2, 2] == keypoints[0, 2] == 1
            if (eyes_seen if facing == "front" else eyes_hidden) and keypoints[
                [left, right], 2
            ].all():
                signs.append(np.sign(keypoints[left, 0] - keypoints[right, 0]))
    assert len(signs) >= 5
    assert np.mean(signs) > 0.8 if facing == "front" else np.mean(signs) < -0.8
