"""Label Studio's tasks: a rectangle a person with the keypoints as its children, read and written.

https://labelstud.io/guide/predictions and https://labelstud.io/tags/keypointlabels. Coordinates are
percentages of the photo's sides, continuous. A keypoint that is not there is v = 0, one with the
choice ``occluded`` v = 1, else v = 2. Ids of regions stay what they are when a prediction becomes
an annotation: a rectangle's is that of the person.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from pose_project.extras.labelling.predictions import DECIMALS, points_of, schemas_of
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic

BOX, KEYPOINTS, VISIBILITY, OCCLUDED = "box", "keypoints", "visibility", "occluded"
_PERSON = "person-"
_DOT_WIDTH = 0.5  # of a keypoint, percent of the photo's width


def write_label_studio(draft: dict[str, Any], folder: Path, url_prefix: str) -> list[Path]:
    """Write ``tasks.json`` to import and ``label_config.xml`` for the labelling interface.

    Args:
        draft: of ``to_draft``.
        folder: to write into.
        url_prefix: what stands before a photo's name where Label Studio serves it.
    """
    schemas = schemas_of(draft)
    people = defaultdict(list)
    for each in draft["annotations"]:
        people[each["image_id"]].append(each)
    tasks = []
    for image in draft["images"]:
        regions: list[dict[str, Any]] = []
        for person in people[image["id"]]:
            name, schema = schemas[person["category_id"]]
            regions += _regions(person, name, schema.names, (image["width"], image["height"]))
        scores = [each["score"] for each in people[image["id"]]]
        prediction = {"model_version": "pose_project", "result": regions}
        if scores:
            prediction["score"] = min(scores)  # so that sorting by it shows the doubtful first
        data = {"image": url_prefix + quote(image["file_name"]), "file_name": image["file_name"]}
        tasks.append({"data": data, "predictions": [prediction]})
    files = [folder / "tasks.json", folder / "label_config.xml"]
    write_text_atomic(files[0], json.dumps(tasks, indent=1) + "\n")
    names = [name for name, _ in schemas.values()]
    keypoints = list(dict.fromkeys(each for _, s in schemas.values() for each in s.names))
    write_text_atomic(files[1], _label_config(names, keypoints))
    return files


def read_label_studio(tasks: list[Any], path: Path) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the photos that somebody submitted, in the form of ``read_cvat``, and what is left.

    Rectangles have a ``box`` besides, XYWH.

    Args:
        tasks: Label Studio's export as JSON.
        path: of the file, for messages.

    Returns:
        The photos; and how many tasks nobody submitted, and keypoints that have no rectangle.

    Raises:
        InputError: if it is not such an export; names the task.
    """
    photos = []
    left: Counter[str] = Counter()
    for place, task in enumerate(tasks):
        try:
            done = [each for each in task["annotations"] if not each.get("was_cancelled")]
            if not done:
                left["tasks that nobody has submitted"] += 1
                continue
            last = max(done, key=lambda each: (str(each.get("updated_at", "")), each.get("id", 0)))
            photo, lost = _read_regions(last["result"])
            data = task["data"]
            photo["file_name"] = data.get("file_name") or _name_of(str(data["image"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: task {place + 1} cannot be read: {error!r}") from error
        left["keypoints without a rectangle"] += lost
        photos.append(photo)
    return photos, +left


def _regions(
    person: dict[str, Any], category: str, names: tuple[str, ...], size_wh: tuple[int, int]
) -> list[dict[str, Any]]:
    width, height = size_wh
    common = {"to_name": "image", "image_rotation": 0}
    common |= {"original_width": width, "original_height": height}
    x, y, box_width, box_height = person["bbox"]
    id_ = f"{_PERSON}{person['id']}"
    regions = [
        {
            **common,
            "id": id_,
            "type": "rectanglelabels",
            "from_name": BOX,
            "score": person["score"],
            "value": {
                "x": 100 * x / width,
                "y": 100 * y / height,
                "width": 100 * box_width / width,
                "height": 100 * box_height / height,
                "rotation": 0,
                "rectanglelabels": [category],
            },
        }
    ]
    points = zip(names, points_of(person), person["keypoint_scores"], strict=True)
    for name, (px, py, v), score in points:
        if v == 0:
            continue
        value = {
            "x": 100 * (px + PIXEL_CENTRE) / width,
            "y": 100 * (py + PIXEL_CENTRE) / height,
            "width": _DOT_WIDTH,
        }
        point = {**common, "id": f"{id_}-{name}", "parentID": id_, "score": score}
        labelled = {"from_name": KEYPOINTS, "type": "keypointlabels"}
        regions.append({**point, **labelled, "value": {**value, "keypointlabels": [name]}})
        if name in person["to_check"]:
            regions[-1]["meta"] = {"text": [f"check: {score:.2f}"]}
        if v == 1:
            choice = {"from_name": VISIBILITY, "type": "choices"}
            regions.append({**point, **choice, "value": {**value, "choices": [OCCLUDED]}})
    return regions


def _read_regions(regions: list[dict[str, Any]]) -> tuple[dict[str, Any], int]:
    """Return ``width height people`` of an annotation, and how many keypoints have no rectangle."""
    photo: dict[str, Any] = {}
    people: dict[str, dict[str, Any]] = {}
    occluded = {
        _plain_id(each["id"])
        for each in regions
        if each.get("type") == "choices" and OCCLUDED in each["value"].get("choices", [])
    }
    for each in regions:
        if each.get("type") != "rectanglelabels":
            continue
        width, height = each["original_width"], each["original_height"]
        photo |= {"width": width, "height": height}
        value = each["value"]
        sides = ((value["x"], width), (value["y"], height))
        sides += ((value["width"], width), (value["height"], height))
        id_ = _plain_id(each["id"])
        number = id_.removeprefix(_PERSON)
        people[id_] = {
            "category": value["rectanglelabels"][0],
            "id": int(number) if id_.startswith(_PERSON) and number.isdigit() else None,
            "points": {},
            "box": [round(share * side / 100, DECIMALS) for share, side in sides],
        }
    lost = 0
    for each in regions:
        if each.get("type") != "keypointlabels":
            continue
        owner = people.get(_plain_id(each.get("parentID") or ""))
        if owner is None:
            lost += 1
            continue
        width, height, value = each["original_width"], each["original_height"], each["value"]
        x, y = value["x"] * width / 100, value["y"] * height / 100
        v = 1 if _plain_id(each["id"]) in occluded else 2
        place = (round(x - PIXEL_CENTRE, DECIMALS), round(y - PIXEL_CENTRE, DECIMALS), v)
        owner["points"][value["keypointlabels"][0]] = place
    return {**photo, "people": list(people.values())}, lost


def _plain_id(id_: str) -> str:
    """Return a region's id; the editor appends the annotation's, after ``#``."""
    return str(id_).partition("#")[0]


def _name_of(url: str) -> str:
    """Return the photo's name from where Label Studio serves it; the draft's images end in it."""
    path = unquote(url.partition("?d=")[2] or url)
    return PurePosixPath(path).name if "://" in path else path.lstrip("/")


def _label_config(categories: list[str], keypoints: list[str]) -> str:
    rectangles = "".join(f"\n    <Label value={quoteattr(name)}/>" for name in categories)
    points = "".join(
        f'\n    <Label value={quoteattr(name)} model_index="{index}"/>'
        for index, name in enumerate(keypoints)
    )
    return f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <RectangleLabels name="{BOX}" toName="image">{rectangles}
  </RectangleLabels>
  <KeyPointLabels name="{KEYPOINTS}" toName="image" strokeWidth="3">{points}
  </KeyPointLabels>
  <Choices name="{VISIBILITY}" toName="image" perRegion="true" whenTagName="{KEYPOINTS}">
    <Choice value="{OCCLUDED}"/>
  </Choices>
</View>
"""
