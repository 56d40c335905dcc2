"""The report's pictures, one function a picture; each takes a category's part of the report."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose_project.extras.report.diagnosis import KINDS
from pose_project.extras.report.markdown import ERROR_NAMES
from pose_project.utils.files import atomic_path
from pose_project.visualization.palette import COLOURS

# good in grey, errors in Okabe and Ito's colours
KIND_COLOURS = dict(zip(KINDS, ("0.8", *COLOURS), strict=False))


def plot_report(report: dict[str, Any], folder: Path) -> list[Path]:
    """Draw everything; return the PNGs, of several categories each with its place in the name."""
    pictures = {
        "precision_recall": _precision_recall,
        "keypoint_errors": _keypoint_errors,
        "pck": _pck,
        "slices": _slices,
        "calibration": _calibration,
    }
    paths = []
    categories = report["categories"]
    for place, category in enumerate(categories):
        for name, draw in pictures.items():
            path = folder / (f"{name}.png" if len(categories) == 1 else f"{name}_{place}.png")
            _save(draw(category), path)
            paths.append(path)
    if report["comparison"] is not None:
        paths.append(folder / "comparison.png")
        _save(_comparison(report["comparison"]["headline"]), paths[-1])
    return paths


def _precision_recall(category: dict[str, Any]) -> Figure:
    figure, (axes,) = _figure(1)
    curves = category["precision_recall"]
    for (name, percent), colour in zip(curves["percent"].items(), COLOURS, strict=False):
        recalls = 100 * np.array(curves["recalls"])
        axes.plot(recalls, percent, color=colour, linewidth=1.8, label=f"OKS {name}")
    axes.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 100), ylim=(0, 102))
    return _titled(figure, axes, "Precision and recall")


def _keypoint_errors(category: dict[str, Any]) -> Figure:
    figure, (left, right) = _figure(2)
    per_keypoint = category["diagnosis"]["per_keypoint"]
    names = [_plain(name) for name in category["keypoint_names"]]
    totals = np.maximum(np.sum([per_keypoint[kind] for kind in KINDS], axis=0), 1)
    start = np.zeros(len(names))
    for kind in KINDS:
        share = 100 * np.array(per_keypoint[kind]) / totals
        left.barh(names, share, left=start, color=KIND_COLOURS[kind], label=kind)
        start += share
    left.invert_yaxis()
    left.set(xlabel="% of keypoints of people who were found", xlim=(0, 100))
    _titled(figure, left, "What is wrong with each keypoint", columns=5)
    gains = category["diagnosis"]["gain"]
    right.barh(list(ERROR_NAMES.values()), [gains[name] for name in ERROR_NAMES], color=COLOURS[0])
    right.invert_yaxis()
    right.set(xlabel="points of AP")
    return _titled(figure, right, "AP gained if only this were corrected")


def _pck(category: dict[str, Any]) -> Figure:
    figure, (axes,) = _figure(1)
    curves = category["keypoints"]["curves"]
    for name, percent in curves["percent"].items():
        together = name == "all"
        style = {"color": "black", "linewidth": 2.2} if together else {"linewidth": 0.9}
        axes.plot(curves["thresholds"], percent, label=_plain(name), **style)
    axes.set(
        xlabel="distance in diagonals of the box", ylabel="% of keypoints within", ylim=(0, 102)
    )
    return _titled(figure, axes, "Keypoints within a distance", columns=3)


def _slices(category: dict[str, Any]) -> Figure:
    figure, (axes,) = _figure(1)
    rows = category["slices"]
    labels = [f"{row['by']}: {row['slice']} ({row['people']})" for row in rows]
    places = np.arange(len(rows))
    axes.barh(places - 0.2, [row["AP"] for row in rows], 0.4, color=COLOURS[0], label="AP")
    axes.barh(places + 0.2, [row["AR"] for row in rows], 0.4, color=COLOURS[4], label="AR")
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set(xlabel="%", xlim=(0, 100))
    return _titled(figure, axes, "Slices (people)")


def _calibration(category: dict[str, Any]) -> Figure:
    figure, panels = _figure(2)
    outcomes = {"instances": "mean OKS", "keypoints": "share within one sigma"}
    for axes, (name, outcome) in zip(panels, outcomes.items(), strict=True):
        curve = category["calibration"][name]
        title = f"Scores of {name}"
        if curve is None:
            axes.text(0.5, 0.5, "no scores to compare", ha="center", transform=axes.transAxes)
            _titled(figure, axes, title)
            continue
        bins = curve["bins"]
        scores, values = [row["score"] for row in bins], [row["outcome"] for row in bins]
        sizes = 10 + 200 * np.array([row["count"] for row in bins]) / curve["count"]
        axes.plot(scores, values, color=COLOURS[0], linewidth=1.2)
        axes.scatter(
            scores, values, sizes, color=COLOURS[0], label="bins, larger with more in them"
        )
        if curve["ece"] is not None:
            axes.plot([0, 1], [0, 1], "--", color="0.6", label="calibrated")
            title += f": calibration error {curve['ece']:.3f}"
        axes.set(xlabel="score", ylabel=outcome, ylim=(0, 1.02))
        _titled(figure, axes, title)
    return figure


def _comparison(rows: list[dict[str, Any]]) -> Figure:
    figure, (axes,) = _figure(1)
    places = np.arange(len(rows))
    low, delta, high = (np.array([row[key] for row in rows]) for key in ("low", "delta", "high"))
    reach = np.maximum([delta - low, high - delta], 0)
    axes.errorbar(delta, places, xerr=reach, fmt="o", color=COLOURS[0], capsize=3)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(places, [f"{row['task']} {row['metric']}" for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="points, other minus this")
    return _titled(figure, axes, "Difference and 95 % interval")


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(6.6 * panels, 5.6), dpi=100)
    figure.set_layout_engine("constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _titled(figure: Figure, axes: Axes, title: str, columns: int = 2) -> Figure:
    axes.set_title(title)
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
        axes.legend(ncols=columns, frameon=False, fontsize="small", **place)
    return figure


def _plain(name: str) -> str:
    """Return a name in which Matplotlib finds no formula, and which a legend does not leave out."""
    escaped = name.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
