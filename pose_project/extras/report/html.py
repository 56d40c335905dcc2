"""``report.html``: one file that opens from disk without a network.

It is rendered from the report's dict alone; where the photos' folder is given, with thumbnails.
"""

import base64
import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from tqdm import tqdm

from pose_project.data.dataset_dicts import image_path
from pose_project.data.image_reading import read_photo
from pose_project.evaluation import METRICS
from pose_project.extras.report.diagnosis import KINDS
from pose_project.extras.report.gallery import ERRORS
from pose_project.extras.report.markdown import ERROR_NAMES
from pose_project.utils.errors import InputError, UnreadablePhotoError
from pose_project.utils.files import write_text_atomic
from pose_project.visualization.palette import COLOURS

_THUMBNAIL_PX = 360
_JPEG_QUALITY = 75
KIND_COLOURS = dict(zip(KINDS, ("#bbbbbb", *COLOURS), strict=False))


def write_html(report: dict[str, Any], path: Path) -> None:
    """Write the report as a page.

    Args:
        report: of :func:`analyse`; its ``inputs.images`` is the folder of thumbnails and links.
        path: the file to write.

    Raises:
        InputError: if plotly, which draws the plots, is not installed.
        OSError: if the file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("pose_project.extras.report", "."), autoescape=True, trim_blocks=True
    )
    environment.filters.update(number=_number, points=_points)
    images = report["inputs"]["images"]
    by_id = {record["id"]: record for record in report["photos"]}
    photos = [
        _photo({**by_id[photo["id"]], **photo}, None if images is None else Path(images))
        for photo in tqdm(report["gallery"], "thumbnails", disable=None, leave=False)
    ]
    text = environment.get_template("report.html.jinja").render(
        report=report,
        photos=photos,
        errors=ERRORS,
        error_names=ERROR_NAMES,
        kinds=KINDS,
        colours=KIND_COLOURS,
        metrics=METRICS,
        plots=_script_json(_plots(report)),
        plotly=Markup(require_plotly()().replace("</script", "<\\/script")),
    )
    write_text_atomic(path, text)


def require_plotly() -> Callable[[], str]:
    """Return what returns the JavaScript library that draws the plots; only this page needs it.

    Raises:
        InputError: if plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise InputError(
            "report.html needs plotly: pip install 'plotly>=6', or pip install -e '.[report]'"
        ) from error
    return get_plotlyjs


def _script_json(value: Any) -> Markup:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(value, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _plots(report: dict[str, Any]) -> list[dict[str, Any]]:
    plots = []
    for place, category in enumerate(report["categories"]):
        for name, (data, layout) in _category_plots(category).items():
            plots.append({"id": f"{name}-{place}", "data": data, "layout": layout})
    if report["comparison"] is not None:
        rows = report["comparison"]["headline"][::-1]
        deltas, low, high = (
            [_or_none(row[key]) for row in rows] for key in ("delta", "low", "high")
        )
        trace = {
            "type": "scatter",
            "mode": "markers",
            "x": deltas,
            "y": [f"{row['task']} {row['metric']}" for row in rows],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [_difference(a, b) for a, b in zip(high, deltas, strict=True)],
                "arrayminus": [_difference(a, b) for a, b in zip(deltas, low, strict=True)],
            },
        }
        layout = _layout("Difference and its interval", "points, other minus this", "", height=560)
        plots.append({"id": "comparison", "data": [trace], "layout": layout})
    return plots


def _category_plots(category: dict[str, Any]) -> dict[str, tuple[list[dict], dict]]:
    """Return traces and layout of each of a category's plots."""
    gain, titles = category["diagnosis"]["gain"], list(ERROR_NAMES)[::-1]
    curves, pck = category["precision_recall"], category["keypoints"]["curves"]
    slices = category["slices"][::-1]
    labels = [f"{row['by']}: {row['slice']} ({row['people']})" for row in slices]
    return {
        "kinds": (
            _kinds_of_errors(category),
            _layout("What is wrong with each keypoint", "%", "", barmode="stack", height=520),
        ),
        "gain": (
            [_bars([gain[name] for name in titles], [ERROR_NAMES[name] for name in titles])],
            _layout("AP gained if only this were corrected", "points of AP", ""),
        ),
        "precision": (
            [
                _line(100 * np.array(curves["recalls"]), y, f"OKS {name}")
                for name, y in curves["percent"].items()
            ],
            _layout("Precision and recall", "recall (%)", "precision (%)"),
        ),
        "pck": (
            [_line(pck["thresholds"], y, escape(name)) for name, y in pck["percent"].items()],
            _layout("Keypoints within a distance", "diagonals of the box", "% within"),
        ),
        "slices": (
            [
                _bars([row[metric] for row in slices], labels, name=metric)
                for metric in ("AP", "AR")
            ],
            _layout("Slices (people)", "%", "", height=520),
        ),
        "calibration": (
            _reliability_curves(category),
            _layout("Calibration of scores", "score", "outcome"),
        ),
    }


def _kinds_of_errors(category: dict[str, Any]) -> list[dict[str, Any]]:
    per_keypoint = category["diagnosis"]["per_keypoint"]
    totals = np.maximum(np.sum([per_keypoint[kind] for kind in KINDS], axis=0), 1)
    names = [escape(name) for name in category["keypoint_names"]][::-1]
    return [
        _bars(
            (100 * np.array(per_keypoint[kind]) / totals).tolist()[::-1],
            names,
            name=kind,
            marker={"color": KIND_COLOURS[kind]},
        )
        for kind in KINDS
    ]


def _reliability_curves(category: dict[str, Any]) -> list[dict[str, Any]]:
    names = {"instances": "instances: mean OKS", "keypoints": "keypoints: within a sigma"}
    curves = [
        _line(
            [row["score"] for row in curve["bins"]],
            [row["outcome"] for row in curve["bins"]],
            names[kind],
        )
        for kind, curve in category["calibration"].items()
        if curve is not None
    ]
    diagonal = {**_line([0, 1], [0, 1], "calibrated"), "line": {"dash": "dash", "color": "#999"}}
    return [*curves, diagonal]


def _bars(x: list[float], y: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "bar", "orientation": "h", "x": [_or_none(v) for v in x], "y": y, **more}


def _line(x: Any, y: Any, name: str) -> dict[str, Any]:
    points = [_or_none(float(each)) for each in y]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [float(each) for each in x],
        "y": points,
        "name": name,
    }


def _layout(title: str, x: str, y: str, **more: Any) -> dict[str, Any]:
    axes = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}, "automargin": True}}
    return {"title": {"text": title}, **axes, **more}


def _photo(photo: dict[str, Any], images: Path | None) -> dict[str, Any]:
    """Return the record with ``thumbnail`` and ``link`` where there is such a file, and a size."""
    extra: dict[str, Any] = {"thumbnail": None, "link": None}
    if images is not None:
        path = image_path(images, photo["file_name"]).resolve()
        if path.is_relative_to(images.resolve()) and path.is_file():  # not "../" out of the folder
            extra = {"thumbnail": _thumbnail(path), "link": path.as_uri()}
    if not (photo["width"] and photo["height"]):
        boxes = np.array([each["bbox"] for each in photo["instances"]])
        photo["width"], photo["height"] = (boxes[:, :2] + boxes[:, 2:]).max(axis=0).tolist()
    return {**photo, **extra}


def _thumbnail(path: Path) -> str | None:
    """Return a small JPEG as a data URI; None if the file is not a photo."""
    try:
        picture = read_photo({"file_name": str(path)}, "BGR")
    except UnreadablePhotoError:
        return None
    scale = min(1.0, _THUMBNAIL_PX / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _points(instance: dict[str, Any], category: dict[str, Any]) -> dict[str, Any]:
    """Return what is drawn of an instance: dots (x, y, kind, name) and lines between them."""
    is_truth = instance["kind"] == "truth"
    kinds = instance.get("kinds") or [None] * len(instance["keypoints"])
    dots = [
        (round(x, 1), round(y, 1), kind, name) if (v > 0 or not is_truth) else None
        for (x, y, v), kind, name in zip(
            instance["keypoints"], kinds, category["keypoint_names"], strict=True
        )
    ]
    lines = [(dots[a], dots[b]) for a, b in category["skeleton"] if dots[a] and dots[b]]
    return {"dots": [dot for dot in dots if dot], "lines": lines}


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if _or_none(value) is None else f"{value:.{digits}f}"


def _or_none(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else max(a - b, 0.0)
