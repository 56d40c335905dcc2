"""Datasets of the doctor's tests: a clean one, and what shows each of its problems."""

import copy
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from helpers.annotations import person
from pose_project.structures import COCO_PERSON

SKELETON = [[a + 1, b + 1] for a, b in COCO_PERSON.skeleton_indices]


def someone(*ids: int, **changes: object) -> dict:
    """``conftest.person`` with whole numbers for v."""
    made = person(*ids, **changes)
    return made | {"keypoints": with_whole_v(made["keypoints"])}


def with_whole_v(keypoints: list[float]) -> list[float]:
    return [int(value) if place % 3 == 2 else value for place, value in enumerate(keypoints)]


def clean(num_photos: int = 2) -> dict:
    """A dataset of 64x80 photos with one person each."""
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": 64, "width": 80}
            for number in range(1, num_photos + 1)
        ],
        "annotations": [someone(number, number) for number in range(1, num_photos + 1)],
        "categories": [
            {
                "id": 1,
                "name": "person",
                "keypoints": list(COCO_PERSON.names),
                "skeleton": copy.deepcopy(SKELETON),
            }
        ],
    }


Edit = Callable[[dict], object]


def annotation(**changes: object) -> Edit:
    return lambda content: content["annotations"][0].update(changes)


def without(key: str) -> Edit:
    return lambda content: content["annotations"][0].pop(key)


def photo(**changes: object) -> Edit:
    return lambda content: content["images"][0].update(changes)


def category(**changes: object) -> Edit:
    return lambda content: content["categories"][0].update(changes)


def also(kind: str, entry: object) -> Edit:
    return lambda content: content[kind].append(entry)


def point(index: int, *xyv: float) -> Edit:
    def edit(content: dict) -> None:
        content["annotations"][0]["keypoints"][3 * index : 3 * index + 3] = xyv

    return edit


def all_points(function: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(content: dict) -> None:
        xyv = np.reshape(content["annotations"][0]["keypoints"], (-1, 3))
        content["annotations"][0]["keypoints"] = with_whole_v(function(xyv).flatten().tolist())

    return edit


def unboxed_and_unlabelled(content: dict) -> None:
    annotation(keypoints=[0] * 51, num_keypoints=0)(content)
    without("bbox")(content)


def nothing_at_the_nose(content: dict) -> None:
    point(0, float("nan"), None, 0)(content)
    annotation(num_keypoints=16)(content)


def nobody_labelled(content: dict) -> None:
    for each in content["annotations"]:
        each.update(keypoints=[0] * 51, num_keypoints=0)


def points_alone(content: dict) -> None:
    """CVAT's points: a category and an annotation for each, and no box."""
    names = ("nose", "left_eye", "right_eye")
    content["categories"] = [
        {"id": number, "name": name, "keypoints": [], "skeleton": []}
        for number, name in enumerate(names, 1)
    ]
    content["annotations"] = [
        {"id": number, "image_id": 1, "category_id": number, "keypoints": [20 + number, 30, 2]}
        | {"bbox": [20 + number, 30, 0, 0], "area": 0, "iscrowd": 0, "num_keypoints": 1}
        for number in range(1, len(names) + 1)
    ]


def all_xyxy(content: dict) -> None:
    for each in content["annotations"]:
        each["bbox"] = [10, 15, 70, 60]


def contradict(content: dict) -> None:
    content["categories"] += [
        {"id": 2, "name": "arm", "keypoints": ["left_wrist", "hand"], "skeleton": [[1, 2]]}
        | {"flip_pairs": [["left_wrist", "hand"]]}
    ]
    content["annotations"].append(
        person(1, 9, category_id=2, keypoints=[20, 30, 2, 30, 40, 2], num_keypoints=2)
    )


def frontal_people(content: dict) -> None:
    """Forty people with right on the left of left, and one whose hips are the other way round."""
    content.update(clean(40))
    rng = np.random.default_rng(0)
    xyv = np.zeros((17, 3))
    xyv[:, 2] = 2
    for row, name in enumerate(COCO_PERSON.names):
        side = {"left": 38, "right": 18, None: 28}[COCO_PERSON.side(name)]
        xyv[row, :2] = side, 18 + 1.7 * row
    for each in content["annotations"]:
        moved = xyv + np.pad(rng.normal(0, 0.5, (17, 2)), ((0, 0), (0, 1)))
        each["keypoints"] = with_whole_v(moved.flatten().tolist())
    swapped = content["annotations"][6]["keypoints"]
    left, right = (3 * COCO_PERSON.names.index(f"{side}_hip") for side in ("left", "right"))
    swapped[left : left + 2], swapped[right : right + 2] = (
        swapped[right : right + 2],
        swapped[left : left + 2],
    )


# code of the problem, what is done to the clean file, ids in the finding
CONTENTS: list[tuple[str, Edit, list]] = [
    ("not-coco", lambda content: content.pop("images"), []),
    ("not-coco", lambda content: content.update(annotations=None), []),
    ("nobody-annotated", lambda content: content["annotations"].clear(), []),
    ("empty", nobody_labelled, []),
    ("points-without-skeleton", points_alone, []),
    ("broken-entry", also("annotations", None), ["#2"]),
    ("broken-entry", also("images", [1]), ["#2"]),
    ("bad-id", annotation(id="1"), ["#0"]),
    ("bad-id", photo(id=True), ["#0"]),
    ("bad-id", annotation(id=float("nan")), ["#0"]),
    ("bad-id", annotation(id=10**30), ["#0"]),
    ("duplicate-id", annotation(id=2), [2]),
    ("zero-id", annotation(id=0), [0]),
    ("dangling-photo", annotation(image_id=7), [1]),
    ("dangling-category", annotation(category_id=7), [1]),
    ("photo-entry", photo(file_name=None), [1]),
    ("photo-entry", photo(width=0), [1]),
    ("photo-entry", photo(height="64"), [1]),
    ("photo-entry", photo(height=64.0), [1]),
    ("repeated-file", photo(file_name="2.png"), [1, 2]),
    ("no-keypoints", category(keypoints=[]), []),
    ("keypoint-names", category(keypoints=["nose"] * 17), [1]),
    ("keypoint-names", category(keypoints=[None, *COCO_PERSON.names[1:]]), [1]),
    ("keypoint-names", category(keypoints="nose"), [1]),
    ("names-number", category(keypoints=[*COCO_PERSON.names, "tail"]), [1]),
    ("flip-pairs", category(flip_pairs=[["left_eye", "right_eye"], ["left_eye", "nose"]]), [1]),
    ("flip-pairs", category(flip_pairs=[["left_eye", "left_eye"]]), [1]),
    ("flip-pairs", category(flip_pairs=[["left_eye", "right_tail"]]), [1]),
    ("flip-pairs", category(flip_pairs=5), [1]),
    ("flip-pairs-missing", category(flip_pairs=[]), [1]),
    ("oks-sigmas", category(oks_sigmas=[0.1] * 16), [1]),
    ("oks-sigmas", category(oks_sigmas=[0] * 17), [1]),
    ("oks-sigmas", category(oks_sigmas=["0.1"] * 17), [1]),
    ("categories-contradict", contradict, []),
    ("skeleton", category(skeleton=[[1, 2, 3]]), [1]),
    ("skeleton", category(skeleton="1-2"), [1]),
    ("skeleton-range", category(skeleton=[[1, 18]]), [1]),
    ("skeleton-range", category(skeleton=[[0, 17]]), [1]),
    ("skeleton-zero", category(skeleton=[[0, 1], [15, 16]]), [1]),
    ("skeleton-empty", category(skeleton=[]), [1]),
    ("category-unused", also("categories", {"id": 2, "name": "dog"}), [2]),
    ("bbox-missing", without("bbox"), [1]),
    ("bbox-missing", annotation(bbox=None), [1]),
    ("bbox-unknown", unboxed_and_unlabelled, [1]),
    (
        "bbox-unknown",
        annotation(bbox=[0, 0, 0, 0], keypoints=[0] * 51, num_keypoints=0, area=0),
        [1],
    ),
    ("bbox-malformed", annotation(bbox=[1, 2, 3]), [1]),
    ("bbox-malformed", annotation(bbox=["10", "15", "34", "34"]), [1]),
    ("bbox-malformed", annotation(bbox=[10, 15, float("nan"), 34]), [1]),
    ("bbox-malformed", annotation(bbox=[10, 15, 10**400, 34]), [1]),
    ("bbox-empty", annotation(bbox=[10, 15, 0, 34]), [1]),
    ("bbox-empty", annotation(bbox=[10, 15, 34, -34]), [1]),
    ("bbox-outside", annotation(bbox=[-5, 15, 50, 34]), [1]),
    ("bbox-outside", annotation(bbox=[10, 15, 34, 60]), [1]),
    ("bbox-off-photo", annotation(bbox=[100, 15, 34, 34]), [1]),
    ("bbox-xyxy", all_xyxy, [1, 2]),
    ("area-missing", without("area"), [1]),
    ("area-zero", annotation(area=0), [1]),
    ("area-zero", annotation(area=-3.5), [1]),
    ("area-implausible", annotation(area=0.9), [1]),
    ("area-implausible", annotation(area=5000), [1]),
    ("segmentation", annotation(segmentation=[[1, 2, 3, 4]]), [1]),
    ("segmentation", annotation(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), [1]),
    ("segmentation", annotation(segmentation=[[10, 10, 20, 10, 20, 20], [1, 2]]), [1]),
    ("segmentation", annotation(segmentation={"size": [80, 64], "counts": [5120]}), [1]),
    ("segmentation", annotation(segmentation="mask"), [1]),
    ("area-malformed", annotation(area="900"), [1]),
    ("area-malformed", annotation(area=float("inf")), [1]),
    ("iscrowd-missing", without("iscrowd"), [1]),
    ("iscrowd-boolean", annotation(iscrowd=False), [1]),
    ("iscrowd-malformed", annotation(iscrowd=2), [1]),
    ("iscrowd-malformed", annotation(iscrowd=[0]), [1]),
    ("keypoints-length", annotation(keypoints=[20, 30, 2] * 14), [1]),
    ("keypoints-malformed", annotation(keypoints={"nose": [1, 2]}), [1]),
    ("keypoints-malformed", point(0, 20, float("nan"), 2), [1]),
    ("keypoints-malformed", point(0, 20, "30", 2), [1]),
    ("visibility", point(0, 20, 30, 3), [1]),
    ("visibility", point(0, 20, 30, 0.87), [1]),
    ("visibility-float", point(0, 20, 30, 2.0), [1]),
    ("visibility-boolean", point(0, 20, 30, True), [1]),
    ("point-unreadable", nothing_at_the_nose, [1]),
    ("num-keypoints-missing", without("num_keypoints"), [1]),
    ("num-keypoints-wrong", annotation(num_keypoints=5), [1]),
    ("num-keypoints-zero", annotation(num_keypoints=0), [1]),
    ("num-keypoints-zero", annotation(keypoints=[0] * 51), [1]),
    ("unlabelled", annotation(keypoints=[0] * 51, num_keypoints=0), [1]),
    ("unlabelled", without("keypoints"), [1]),
    ("point-off-photo", point(0, 20, 70, 2), [1]),
    ("point-off-box", point(0, 20, 12, 2), [1]),
    ("point-far-off", point(0, 20, 120, 2), [1]),
    ("points-equal", all_points(lambda xyv: np.full_like(xyv, 20) * [1, 1, 0] + [0, 0, 2]), [1]),
    ("relative", all_points(lambda xyv: xyv / [80, 64, 1]), [1]),
    ("relative", annotation(bbox=[0.1, 0.2, 0.4, 0.5]), [1]),
    ("duplicate-person", also("annotations", someone(2, 3)), [3]),
    ("left-right", frontal_people, [7]),
]


# Photos and categories are referred to by id, people of wrong ids may be somebody's, and a fin has
# nothing to be paired with.
ONE_FIN = category(keypoints=["left_fin", *COCO_PERSON.names[1:]])
SAME_PHOTO = photo(id=2)
SAME_CATEGORY = also("categories", clean()["categories"][0])
TEXT_IDS = photo(id="1")
NO_PHOTO = annotation(image_id=None)
UNCORRECTED = (ONE_FIN, SAME_PHOTO, SAME_CATEGORY, TEXT_IDS, NO_PHOTO)
CONTENTS += [
    ("flip-pairs-missing", ONE_FIN, [1]),
    ("duplicate-id", SAME_PHOTO, [2]),
    ("duplicate-id", SAME_CATEGORY, [1]),
    ("dangling-photo", TEXT_IDS, [1]),
    ("dangling-photo", NO_PHOTO, [1]),
]


NAMES = list(COCO_PERSON.names)

# code of the problem, what is done to the clean file, what the finding says of it; with COCO's
# person as the schema
DIFFERENT: list[tuple[str, Edit, str]] = [
    (
        "schema-categories",
        also("categories", {"id": 2, "name": "hand", "keypoints": ["a"]}),
        "'hand'",
    ),
    ("schema-absent", category(keypoints=None), "id 1"),
    ("schema-absent", lambda content: content["categories"][0].pop("keypoints"), "id 1"),
    ("schema-absent", category(name="human", keypoints=[]), "id 1"),
    ("schema-number", category(keypoints=NAMES[:14]), "14 instead of 17"),
    ("schema-names", category(keypoints=["tip", *NAMES[1:]]), "1 is 'tip' instead of 'nose'"),
    ("schema-names", category(name="human", keypoints=["tip", *NAMES[1:]]), "1 is 'tip'"),
    ("schema-names", category(keypoints=NAMES[::-1]), "another order: 1 is 'right_ankle'"),
    ("schema-pairs", category(flip_pairs=[["left_eye", "right_eye"]]), "partners of left_ear,"),
    ("schema-skeleton", category(skeleton=SKELETON[1:]), "missing: left_ankle-left_knee"),
    ("schema-skeleton", category(skeleton=[*SKELETON, [1, 17]]), "more: nose-right_ankle"),
    ("schema-skeleton", category(skeleton=[]), "missing: "),
    ("schema-sigmas", category(oks_sigmas=[0.03, *COCO_PERSON.oks_sigmas[1:]]), "nose 0.03"),
]


def write_photos(folder: Path, content: dict) -> None:
    folder.mkdir(exist_ok=True)
    for number, each in enumerate(content["images"]):
        noise = np.random.default_rng(number).integers(0, 255, (64, 80, 3), np.uint8)
        cv2.imwrite(str(folder / each["file_name"]), noise)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def two_pages(path: Path) -> None:
    page = Image.new("L", (80, 64))
    page.save(path, "TIFF", save_all=True, append_images=[page])


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (80, 64), "red").save(path, "JPEG", exif=exif)


# code of the problem, what is done to the first photo
PHOTOS: list[tuple[str, Callable[[Path], object]]] = [
    ("photo-missing", Path.unlink),
    ("photo-unreadable", lambda path: path.write_bytes(b"<html>not found</html>")),
    ("photo-unreadable", lambda path: path.write_bytes(b"")),
    ("photo-truncated", cut_short),
    ("photo-pixels", lambda path: Image.new("F", (80, 64)).save(path, "TIFF")),
    ("photo-pixels", two_pages),
    ("photo-sixteen-bits", lambda path: Image.new("I;16", (80, 64), 4000).save(path)),
    ("photo-size", lambda path: Image.new("RGB", (40, 32)).save(path)),
    ("photo-size-swapped", lambda path: Image.new("RGB", (64, 80)).save(path)),
    ("photo-exif", turned),
    ("photo-repeated", lambda path: path.write_bytes((path.parent / "1.png").read_bytes())),
]
