"""What labelling tools export, whichever it is, as photos with people."""

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from pose_project.extras.labelling.cvat import read_cvat
from pose_project.extras.labelling.label_studio import read_label_studio
from pose_project.extras.labelling.predictions import PERSON, points_of, schemas_of
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra
from pose_project.utils.json_files import read_json

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


def read_export(path: Path) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the photos of an export, see ``read_cvat``, and what was left out of it.

    Args:
        path: CVAT's XML or the ZIP with it, Label Studio's JSON, COCO's JSON, or YOLO's data.yaml.

    Raises:
        InputError: if it is none of these, or cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return _read_yolo(path), Counter()
    if suffix == ".json":
        content = read_json(path)
        if isinstance(content, list):
            return read_label_studio(content, path)
        return _read_coco(content, path), Counter()
    if suffix == ".xml" or is_zipfile(path):
        return read_cvat(path), Counter()
    raise InputError(
        f"{path} is not an export that is known: give CVAT's .xml or .zip, Label Studio's or "
        "COCO's .json, or YOLO's data.yaml"
    )


def _read_coco(content: Any, path: Path) -> list[dict[str, Any]]:
    """Return the photos of a COCO file; ids are those that CVAT keeps as an attribute.

    CVAT numbers annotations anew. Boxes are not taken: tools compute them from the points.
    """
    try:
        schemas = schemas_of(content)
        people = defaultdict(list)
        for each in content["annotations"]:
            if each["category_id"] not in schemas or not any(each["keypoints"][2::3]):
                continue
            name, schema = schemas[each["category_id"]]
            id_ = str(each.get("attributes", {}).get(PERSON, ""))
            points = dict(zip(schema.names, points_of(each), strict=True))
            person = {"category": name, "id": int(id_) if id_.isdigit() else None, "points": points}
            people[each["image_id"]].append(person)
        return [
            {**{k: each[k] for k in ("file_name", "width", "height")}, "people": people[each["id"]]}
            for each in content["images"]
        ]
    except _MALFORMED as error:
        raise InputError(f"{path} is not in COCO's keypoint format: {error!r}") from error


def _read_yolo(path: Path) -> list[dict[str, Any]]:
    converter = find_extra("converters.yolo_to_coco")
    if converter is None:
        raise InputError("YOLO needs pose_project/extras/converters, which is not here")
    photos: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for split in converter.yolo_to_coco(path, Path(folder) / "coco"):
            photos += _read_coco(read_json(split.json_file), path)
    return photos
