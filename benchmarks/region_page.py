"""How many labelled keypoints lie outside of people's boxes, in numbers and on photos.

    python -m benchmarks.region_page ANNOTATIONS.json PHOTOS PAGE.html [--scale 1.3]

Writes one page: the share of labelled keypoints outside of the true box, and of one whose sides are
each off by a tenth as a detector's are, by how much the box is enlarged; and the people with the
most keypoints outside, with box and region.
"""

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tabulate import tabulate

from pose_project.modeling.keypoint_predictions import enlarge
from pose_project.utils.cli import EXIT_OK, run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic

_SCALES = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
_JITTER, _DRAWS = 0.1, 20
_HEIGHT_PX, _PER_PAGE = 320, 12
_BOX, _REGION, _INSIDE, _OUTSIDE = (255, 255, 255), (60, 200, 60), (220, 160, 40), (40, 60, 240)


def read_people(annotations: Path) -> list[dict[str, Any]]:
    """Return people with a labelled keypoint: ``box`` XYXY, ``points`` (M, 2), ``file_name``.

    Raises:
        InputError: if the file is not COCO's JSON of people with keypoints.
    """
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        names = {each["id"]: each["file_name"] for each in content["images"]}
        people = []
        for each in content["annotations"]:
            keypoints = np.array(each.get("keypoints", []), np.float64).reshape(-1, 3)
            x, y, width, height = each["bbox"]
            points = keypoints[keypoints[:, 2] > 0, :2] + 0.5
            if len(points) and min(width, height) > 1:
                box = (x, y, x + width, y + height)
                name = names[each["image_id"]]
                people.append({"box": np.array(box), "points": points, "file_name": name})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{annotations} is not a JSON of people with keypoints: {error}"
        ) from error
    if not people:
        raise InputError(f"{annotations} has no labelled keypoint")
    return people


def share_outside(people: list[dict[str, Any]], scale: float, jitter: float) -> float:
    """Return the share of all labelled keypoints outside of the enlarged boxes.

    Args:
        people: of :func:`read_people`.
        scale: of the boxes.
        jitter: standard deviation of each side before, as a share of the box; drawn several times.
    """
    rng = np.random.default_rng(0)
    outside = total = 0
    for person in people:
        sides = person["box"][2:] - person["box"][:2]
        noise = rng.normal(0, jitter, (_DRAWS if jitter else 1, 4)) * np.tile(sides, 2)
        for box in _enlarged(person["box"] + noise, scale):
            outside += _is_outside(person["points"], box).sum()
            total += len(person["points"])
    return outside / total


def _enlarged(boxes: np.ndarray, scale: float) -> np.ndarray:
    return enlarge(torch.from_numpy(boxes), scale).numpy()


def _is_outside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    return ((points < box[:2]) | (points > box[2:])).any(axis=1)


def draw_person(photo: np.ndarray, person: dict[str, Any], scale: float) -> np.ndarray:
    """Return a picture of a person: the box white, the region green, points outside red."""
    region = _enlarged(person["box"][None], scale)[0]
    x0, y0, x1, y1 = np.clip(_enlarged(region[None], 1.15)[0], 0, [*photo.shape[1::-1]] * 2)
    factor = _HEIGHT_PX / (y1 - y0)
    crop = photo[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
    picture = cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)

    def at(point: np.ndarray) -> tuple[int, int]:
        return tuple(((point - [int(x0), int(y0)]) * factor).round().astype(int).tolist())

    for box, colour in ((person["box"], _BOX), (region, _REGION)):
        cv2.rectangle(picture, at(box[:2]), at(box[2:]), colour, 2)
    for point, outside in zip(
        person["points"], _is_outside(person["points"], person["box"]), strict=True
    ):
        cv2.circle(picture, at(point), 5, _OUTSIDE if outside else _INSIDE, -1, cv2.LINE_AA)
    return picture


def make_page(people: list[dict[str, Any]], photos: Path, scale: float) -> str:
    """Return the HTML page."""
    rows = [
        (each, *(100 * share_outside(people, each, jitter) for jitter in (0.0, _JITTER)))
        for each in _SCALES
    ]
    head = ("enlarged by", "outside of the true box, %", "of one off by a tenth, %")
    print(tabulate(rows, head, tablefmt="github", floatfmt=".1f"))
    people = sorted(people, key=lambda each: -_is_outside(each["points"], each["box"]).sum())
    pictures = []
    for person in people[:_PER_PAGE]:
        photo = cv2.imread(str(photos / person["file_name"]))
        if photo is None:
            raise InputError(f"{photos / person['file_name']} cannot be read")
        jpeg = cv2.imencode(".jpg", draw_person(photo, person, scale))[1].tobytes()
        code = base64.b64encode(jpeg).decode()
        pictures.append(f'<img alt="" src="data:image/jpeg;base64,{code}">')
    return (
        "<!doctype html><meta charset=utf-8><title>Room around people</title>"
        "<style>body{font:16px sans-serif;margin:2em}td,th{padding:.2em 1em;text-align:right}"
        "img{height:320px;margin:4px}</style><h1>Room around people</h1>"
        + tabulate(rows, head, tablefmt="html", floatfmt=".1f")
        + f"<p>Box: white. Region, {scale} times as large: green. Keypoints outside of the box: "
        "red.</p>" + "".join(pictures)
    )


def main(argv: list[str] | None = None) -> int:
    """Write the page and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--scale", type=float, default=1.3, help="default: %(default)s")
    arguments = parser.parse_args(argv)

    def run() -> int:
        page = make_page(read_people(arguments.annotations), arguments.photos, arguments.scale)
        write_text_atomic(arguments.page, page)
        return EXIT_OK

    return run_tool(run, debug=False)


if __name__ == "__main__":
    sys.exit(main())
