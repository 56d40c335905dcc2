"""Results as other frameworks write them, in COCO's results format.

AlphaPose, MMPose, OpenPifPaf, OpenPose and Ultralytics each name images and nest people in a way of
their own. A file, or a folder with a file for each image, is recognised by its form; what each tool
writes is listed in docs/formats.md.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pose_project.extras.report.arrays import Category, Truth
from pose_project.extras.report.image_names import ImageNames
from pose_project.extras.report.result_forms import OPENPOSE_BODIES, is_usable, to_coco_person
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import read_json

# The orders of OpenPose's body models, doc/02_output.md; "mid_hip" and "neck" are its own.
_OPENPOSE_ARMS = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist"),
)
_OPENPOSE_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_OPENPOSE_HEAD = ("right_eye", "left_eye", "right_ear", "left_ear")
_OPENPOSE = {
    18: (*_OPENPOSE_ARMS, *_OPENPOSE_LEGS, *_OPENPOSE_HEAD),
    25: (
        *(*_OPENPOSE_ARMS, "mid_hip", *_OPENPOSE_LEGS, *_OPENPOSE_HEAD),
        *("left_big_toe", "left_small_toe", "left_heel"),
        *("right_big_toe", "right_small_toe", "right_heel"),
    ),
}
_PERSON = frozenset({"keypoints", *OPENPOSE_BODIES})
_LISTS = ("annotations", "instance_info", "people", "bodies", "predictions", "instances", "results")
_IMAGE_KEYS = ("file_name", "image_name", "imgname", "image_id", "image")
_FILE_ENDINGS = ("_keypoints", ".predictions", ".pred")
_DEEPEST = 8


class _Found(NamedTuple):
    """A person as a tool wrote it: whose image, and what its keypoints are called, if it says."""

    person: Any
    image: Any = None
    names: tuple[str, ...] | None = None


def read_any_results(path: Path, truth: Truth) -> tuple[list[Any], list[str]]:
    """Return results in COCO's format, and sentences that say what was recognised.

    Results in COCO's format whose ``image_id`` are those of the ground truth are returned as they
    are. What nobody can convert is left for ``read_results``, which names it.

    Args:
        path: a JSON file, or a folder with a JSON file for each image.
        truth: what the results are of.

    Raises:
        InputError: if nothing in it is a result, or images or keypoints are not those of the
            ground truth.
    """
    names = ImageNames(truth.photos.ids.tolist(), truth.photos.file_names)
    if path.is_dir():
        found = _read_folder(path)
    else:
        content = read_json(path)
        known = {*(category.id for category in truth.categories), *truth.other_categories}
        if isinstance(content, list) and all(_is_coco(each, names.ids, known) for each in content):
            return content, []
        name = _image_of(path)
        found = list(_people(path, content, _Found(None, name if names.knows(name) else None)))
    converted = [to_coco_person(each.person, each.image) for each in found]
    people = [person for person, _ in converted]
    notes = _number_categories(people, truth)
    notes += _order_keypoints(path, found, people, truth.categories)
    how = names.give_ids(path, people)
    _check_units(path, people)
    tools = " and ".join(sorted({form for _, form in converted}))
    return people, [f"Results in the form of {tools}; images are told by {how}.", *notes]


def _read_folder(folder: Path) -> list[_Found]:
    """Return the people of a folder with a file for each image, which is named like it."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise InputError(f"{folder} holds no JSON file")
    found = []
    for file in files:
        found += _people(file, read_json(file), _Found(None, _image_of(file)))
    return found


def _image_of(file: Path) -> str:
    """Return the name of the image whose results a file may hold."""
    name = file.stem
    for ending in _FILE_ENDINGS:
        name = name.removesuffix(ending)
    return name


def _people(path: Path, content: Any, within: _Found, depth: int = 0) -> Iterator[_Found]:
    """Yield the people of lists and dicts in one another."""
    if isinstance(content, list) and depth < _DEEPEST:
        for each in content:
            yield from _people(path, each, within, depth + 1)
        return
    if not isinstance(content, dict):
        if not depth:
            raise InputError(f"{path} holds no results in COCO's format, which are a list")
        yield within._replace(person=content)
        return
    own = [content[key] for key in _IMAGE_KEYS if isinstance(content.get(key), (str, int))]
    here = within._replace(image=own[0]) if own else within
    lists = [key for key in _LISTS if isinstance(content.get(key), list)]
    if _PERSON & content.keys() or depth >= _DEEPEST:
        yield here._replace(person=content)
    elif lists:
        here = here._replace(names=_keypoint_names(content) or here.names)
        files = _file_names(content)
        for found in _people(path, content[lists[0]], here, depth + 1):
            yield found._replace(image=files.get(str(found.image), found.image))
    elif content and all(isinstance(each, (list, dict)) for each in content.values()):
        for name, each in content.items():  # by file
            yield from _people(path, each, within._replace(image=name), depth + 1)
    elif depth:
        yield here._replace(person=content)
    else:
        keys = ", ".join(sorted(map(repr, content))[:5])
        raise InputError(f"{path} holds no results that are recognised: its keys are {keys}")


def _keypoint_names(content: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the names that MMPose's ``meta_info`` or the only category of a COCO file gives."""
    meta, categories = content.get("meta_info"), content.get("categories")
    names: Any = None
    if isinstance(meta, dict) and isinstance(meta.get("keypoint_id2name"), dict):
        names = list(meta["keypoint_id2name"].values())
    elif isinstance(categories, list) and len(categories) == 1 and isinstance(categories[0], dict):
        names = categories[0].get("keypoints")
    return tuple(map(str, names)) if isinstance(names, list) and names else None


def _file_names(content: dict[str, Any]) -> dict[str, str]:
    """Return {id: file name} of the images that a COCO file lists of its own."""
    images = content.get("images")
    return {
        str(each.get("id")): each["file_name"]
        for each in (images if isinstance(images, list) else ())
        if isinstance(each, dict) and isinstance(each.get("file_name"), str)
    }


def _is_coco(person: Any, ids: set[int], category_ids: set[int]) -> bool:
    """Return whether nothing has to be converted, or nothing can be."""
    if not isinstance(person, dict):
        return not isinstance(person, list)
    image, category, keypoints = map(person.get, ("image_id", "category_id", "keypoints"))
    return (
        type(image) is int
        and image in ids
        and type(category) is int
        and category in category_ids
        and "score" in person
        and "file_name" not in person
        and isinstance(keypoints, list)
        and not (keypoints and isinstance(keypoints[0], list))
    )


def _number_categories(people: Sequence[Any], truth: Truth) -> list[str]:
    """Give ``category_id`` where it is missing, a name, or a class counted from 0, in place."""
    own = [category.id for category in truth.categories]
    by_name = {category.name: category.id for category in truth.categories}
    people = [each for each in people if isinstance(each, dict)]
    for each in people:
        given = each.get("category_id")
        if isinstance(given, str):
            each["category_id"] = by_name.get(given, given)
        elif given is None and len(own) == 1:
            each["category_id"] = own[0]
    numbers = {each["category_id"] for each in people if type(each.get("category_id")) is int}
    if 0 not in numbers or 0 in {*own, *truth.other_categories} or max(numbers) >= len(own):
        return []
    for each in people:
        if type(each.get("category_id")) is int:
            each["category_id"] = own[each["category_id"]]
    return ["Classes of the results count from 0: they are the categories in their order."]


def _order_keypoints(
    path: Path, found: Sequence[_Found], people: Sequence[Any], categories: Sequence[Category]
) -> list[str]:
    """Bring keypoints that have names into the ground truth's order, in place.

    Raises:
        InputError: if a keypoint of the ground truth is not among them.
    """
    schemas = {category.id: category.schema for category in categories}
    notes: dict[str, None] = {}
    for each, person in zip(found, people, strict=True):
        category = person.get("category_id") if isinstance(person, dict) else None
        keypoints = person.get("keypoints") if isinstance(person, dict) else None
        if type(category) is not int or category not in schemas or not isinstance(keypoints, list):
            continue
        is_body = any(key in each.person for key in OPENPOSE_BODIES)
        names = _OPENPOSE.get(len(keypoints) // 3) if is_body else each.names
        wanted = schemas[category].names
        if names is None or names == wanted or len(keypoints) != 3 * len(names):
            continue
        absent = [name for name in wanted if name not in names]
        if not absent:
            rows = [names.index(name) for name in wanted]
            person["keypoints"] = [v for row in rows for v in keypoints[3 * row : 3 * row + 3]]
            notes[f"Keypoints are taken by name: {len(wanted)} of {len(names)}."] = None
        elif len(names) == len(wanted) and not is_body:
            first = names[wanted.index(absent[0])]
            notes[
                f"Keypoints are called otherwise than in the ground truth, such as {first!r} for "
                f"{absent[0]!r}: they are taken in their order."
            ] = None
        else:
            raise InputError(
                f"{path}: the ground truth has {len(wanted)} keypoints, and "
                f"{', '.join(absent[:3])}{', ...' * (len(absent) > 3)} "
                f"{'is' if len(absent) == 1 else 'are'} not among the {len(names)} of the results"
            )
    return list(notes)


def _check_units(path: Path, people: Sequence[Any]) -> None:
    """Refuse coordinates that are shares of the image."""
    largest = 0.0
    for each in people:
        keypoints = each.get("keypoints") if isinstance(each, dict) else None
        if not isinstance(keypoints, list) or not all(map(is_usable, keypoints)):
            return
        largest = max([largest, *map(abs, keypoints[0::3]), *map(abs, keypoints[1::3])])
    if 0 < largest <= 1:
        raise InputError(
            f"{path}: all keypoints are between -1 and 1, as shares of the image; write them in "
            "pixels (OpenPose: --keypoint_scale 0)"
        )
