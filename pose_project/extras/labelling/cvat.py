"""CVAT's own XML, "CVAT for images 1.1": skeletons of points, written and read.

https://docs.cvat.ai/docs/dataset_management/formats/xml_format/. A person is a ``skeleton`` with
``points`` for each keypoint: ``outside`` is v = 0, ``occluded`` v = 1, else v = 2. Coordinates are
continuous, half a pixel more than in COCO's files, with two decimals. CVAT gives back attributes
that its label has, and drops others: ``labels.json`` is the label that has them.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from pose_project.extras.labelling.predictions import DECIMALS, PERSON, points_of, schemas_of
from pose_project.structures import KeypointSchema
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic

SCORE, TO_CHECK, CHECK = "score", "to_check", "check"
"""Attributes: of a skeleton score and number of points to check, of a point score and check."""


def write_cvat(draft: dict[str, Any], folder: Path) -> list[Path]:
    """Write ``annotations.xml`` and ``labels.json``, for the label constructor's tab Raw."""
    schemas = schemas_of(draft)
    people = defaultdict(list)
    for each in draft["annotations"]:
        people[each["image_id"]].append(each)
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    labels = [_label(name, schema, draft, id_) for id_, (name, schema) in schemas.items()]
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    _describe_labels(ElementTree.SubElement(task, "labels"), labels)
    for place, image in enumerate(draft["images"]):
        attributes = {"id": place, "name": image["file_name"]}
        attributes |= {"width": image["width"], "height": image["height"]}
        node = _node(root, "image", **attributes)
        for person in people[image["id"]]:
            _add_skeleton(node, person, *schemas[person["category_id"]])
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=False)
    files = [folder / "annotations.xml", folder / "labels.json"]
    write_text_atomic(files[0], f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')
    write_text_atomic(files[1], json.dumps(labels, indent=2) + "\n")
    return files


def read_cvat(path: Path) -> list[dict[str, Any]]:
    """Return the photos of an XML, or of a ZIP that holds one, as CVAT exports it.

    Returns:
        Of each photo ``file_name width height`` and ``people``, each with ``category``, ``id``
        (None of who was drawn in CVAT) and ``points``, {name: (x, y, v)} as in COCO's files.

    Raises:
        InputError: if it is not such a file; names the place.
    """
    try:
        root = ElementTree.fromstring(_read_xml(path))
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is not XML: {error}") from error
    if root.tag != "annotations" or root.find("track") is not None:
        raise InputError(
            f"{path} is not in the format 'CVAT for images 1.1'"
            + (": it holds tracks, so export it as that" if root.tag == "annotations" else "")
        )
    photos = []
    for image in root.iter("image"):
        try:
            photo = {"file_name": image.attrib["name"]}
            photo |= {side: int(image.attrib[side]) for side in ("width", "height")}
            photo["people"] = [_read_skeleton(each) for each in image.findall("skeleton")]
        except (KeyError, ValueError) as error:
            name = image.get("name", "an image without a name")
            raise InputError(f"{path}: {name} cannot be read: {error!r}") from error
        photos.append(photo)
    return photos


def _node(parent: ElementTree.Element, tag: str, **attributes: Any) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, {k: str(v) for k, v in attributes.items()})


def _add_skeleton(
    image: ElementTree.Element, person: dict[str, Any], label: str, schema: KeypointSchema
) -> None:
    skeleton = _node(image, "skeleton", label=label, source="auto", z_order=0)
    points = zip(schema.names, points_of(person), person["keypoint_scores"], strict=True)
    for name, (x, y, v), score in points:
        place = f"{x + PIXEL_CENTRE:.{DECIMALS}f},{y + PIXEL_CENTRE:.{DECIMALS}f}"
        flags = {"outside": int(v == 0), "occluded": int(v == 1)}
        point = _node(skeleton, "points", label=name, source="auto", **flags, points=place)
        _node(point, "attribute", name=SCORE).text = f"{score:.4f}"
        _node(point, "attribute", name=CHECK).text = str(name in person["to_check"]).lower()
    _node(skeleton, "attribute", name=PERSON).text = str(person["id"])
    _node(skeleton, "attribute", name=SCORE).text = f"{person['score']:.4f}"
    _node(skeleton, "attribute", name=TO_CHECK).text = str(len(person["to_check"]))


def _read_skeleton(skeleton: ElementTree.Element) -> dict[str, Any]:
    attributes = {each.get("name"): each.text for each in skeleton.findall("attribute")}
    points = {}
    for each in skeleton.findall("points"):
        x, y = (round(float(v) - PIXEL_CENTRE, DECIMALS) for v in each.attrib["points"].split(","))
        v = 1 if each.get("occluded") == "1" else 2
        points[each.attrib["label"]] = (0, 0, 0) if each.get("outside") == "1" else (x, y, v)
    id_ = attributes.get(PERSON)
    return {
        "category": skeleton.attrib["label"],
        "id": int(id_) if id_ and id_.isdigit() else None,
        "points": points,
    }


def _read_xml(path: Path) -> bytes:
    if not is_zipfile(path):
        return path.read_bytes()
    try:
        with ZipFile(path) as archive:
            names = [each for each in archive.namelist() if each.endswith(".xml")]
            if len(names) != 1:
                raise InputError(f"{path} holds {len(names)} XML files; CVAT's export holds one")
            return archive.read(names[0])
    except BadZipFile as error:
        raise InputError(f"{path} is a damaged ZIP: {error}") from error


def _label(
    name: str, schema: KeypointSchema, draft: dict[str, Any], category_id: int
) -> dict[str, Any]:
    """Return a label as CVAT's constructor takes it: a skeleton, its points, and how it looks."""
    return {
        "name": name,
        "type": "skeleton",
        "attributes": [_text(PERSON), _text(SCORE), _text(TO_CHECK)],
        "sublabels": [
            {
                "name": each,
                "type": "points",
                "attributes": [
                    _text(SCORE),
                    {**_text(CHECK, "false"), "input_type": "checkbox", "mutable": True},
                ],
            }
            for each in schema.names
        ],
        "svg": _template(schema, _typical_pose(draft, category_id, schema.num_keypoints)),
    }


def _text(name: str, default: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "input_type": "text",
        "mutable": False,
        "values": [default],
        "default_value": default,
    }


def _typical_pose(draft: dict[str, Any], category_id: int, num_keypoints: int) -> np.ndarray:
    """Return (K, 2) places in 5 to 95: the mean pose of the draft, on a circle if it is empty."""
    poses = []
    for each in draft["annotations"]:
        if each["category_id"] == category_id:
            x, y, width, height = each["bbox"]
            xy = np.reshape(each["keypoints"], (-1, 3))[:, :2]
            poses.append((xy - (x, y)) / (max(width, 1), max(height, 1)))
    if poses:
        return 5 + 90 * np.clip(np.mean(poses, axis=0), 0, 1)
    angles = np.linspace(0, 2 * np.pi, num_keypoints, endpoint=False)
    return 50 + 45 * np.stack([np.sin(angles), -np.cos(angles)], axis=1)


def _template(schema: KeypointSchema, places: np.ndarray) -> str:
    """Return the SVG of a skeleton; nodes count from 1."""
    lines = []
    for a, b in schema.skeleton_indices:
        (x1, y1), (x2, y2) = places[a], places[b]
        lines.append(
            f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" stroke="black" '
            f'data-type="edge" data-node-from="{a + 1}" stroke-width="0.5" '
            f'data-node-to="{b + 1}"></line>'
        )
    for node, (name, (x, y)) in enumerate(zip(schema.names, places, strict=True), start=1):
        lines.append(
            f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{x:.2f}" cy="{y:.2f}" '
            f'stroke-width="0.1" data-type="element node" data-element-id="{node}" '
            f'data-node-id="{node}" data-label-name={quoteattr(name)}></circle>'
        )
    return "\n".join(lines)


def _describe_labels(parent: ElementTree.Element, labels: list[dict[str, Any]]) -> None:
    """Add the labels as CVAT's own exports have them; other readers look there."""
    flat = [(each, None) for each in labels]
    flat += [(point, each["name"]) for each in labels for point in each["sublabels"]]
    for label, owner in flat:
        node = ElementTree.SubElement(parent, "label")
        ElementTree.SubElement(node, "name").text = label["name"]
        ElementTree.SubElement(node, "type").text = label["type"]
        attributes = ElementTree.SubElement(node, "attributes")
        for each in label["attributes"]:
            attribute = ElementTree.SubElement(attributes, "attribute")
            ElementTree.SubElement(attribute, "name").text = each["name"]
            ElementTree.SubElement(attribute, "mutable").text = str(each["mutable"])
            ElementTree.SubElement(attribute, "input_type").text = each["input_type"]
            ElementTree.SubElement(attribute, "default_value").text = each["default_value"]
            ElementTree.SubElement(attribute, "values").text = "\n".join(each["values"])
        if owner is not None:
            ElementTree.SubElement(node, "parent").text = owner
        else:
            ElementTree.SubElement(node, "svg").text = label["svg"]
