"""The training curves of a run, from the ``metrics.json`` that Detectron2's writer leaves."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from pose_project.utils.files import atomic_path
from pose_project.visualization.palette import COLOURS

logger = logging.getLogger(__name__)

Series = dict[str, tuple[np.ndarray, np.ndarray]]
"""Per metric its iterations and its values, two arrays of equal length without NaN."""

_SMOOTHED_PART = 1 / 25  # of the curve goes into each point of the smoothed one


def plot_training_curves(metrics_json: Path, output_png: Path) -> None:
    """Draw losses, learning rate and AP over the iterations, a panel for each that there is.

    The picture is written as a whole or not at all. With nothing to plot no file is written and a
    line in the log says so.

    Args:
        metrics_json: one JSON object per line with ``iteration`` and any of ``total_loss``,
            ``loss_*``, ``lr`` and ``*/AP`` (0 to 100). Lines that are not a JSON object, such as a
            truncated last one, and values that are not finite are left out. Of two rows with the
            same iteration the later one counts.
        output_png: the picture to write.

    Raises:
        OSError: if ``metrics_json`` cannot be read or ``output_png`` cannot be written.
    """
    series = read_series(metrics_json)
    losses = {name: series[name] for name in sorted(series, key=_total_first) if _is_loss(name)}
    rates = {name: series[name] for name in series if name == "lr"}
    precisions = {name: series[name] for name in sorted(series) if name.endswith("/AP")}
    panels: list[tuple[Callable[[Axes, Series], None], Series]] = [
        (draw, curves)
        for draw, curves in (
            (_draw_losses, losses),
            (_draw_learning_rate, rates),
            (_draw_precisions, precisions),
        )
        if curves
    ]
    if not panels:
        logger.warning("%s: no loss, learning rate or AP to plot; no picture.", metrics_json)
        return
    figure = Figure(figsize=(5.2 * len(panels), 4.4), dpi=130)
    figure.set_layout_engine("constrained", w_pad=0.12)
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, (draw, curves) in zip(all_axes, panels, strict=True):
        draw(axes, curves)
        axes.set_xlabel("iteration")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(True, color="0.9", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        # Below the panel: no corner inside is free of curves in every run.
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    with atomic_path(output_png) as temporary:
        figure.savefig(temporary, format="png")


def read_series(metrics_json: Path) -> Series:
    """Return every numeric metric of a ``metrics.json``, sorted by iteration, finite values only.

    Raises:
        OSError: if the file cannot be read.
    """
    by_name: dict[str, dict[int, float]] = {}
    unreadable = 0
    for line in metrics_json.read_text(encoding="utf-8", errors="replace").splitlines():
        row = _parse(line)
        if row is None:
            unreadable += 1
            continue
        for name, value in row.items():
            if name != "iteration" and _is_finite_number(value):
                by_name.setdefault(name, {})[int(row["iteration"])] = float(value)
    if unreadable:
        logger.warning("%s: left out %d unreadable lines.", metrics_json, unreadable)
    series = {}
    for name, values in by_name.items():
        iterations = sorted(values)
        series[name] = (np.array(iterations), np.array([values[i] for i in iterations]))
    return series


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each value's neighbourhood; unlike a running average it does not lag.

    Args:
        values: (n,).
        window: width of the neighbourhood, at the ends what there is of it.

    >>> smooth(np.array([0.0, 3.0, 6.0, 9.0]), window=3).tolist()
    [1.5, 3.0, 6.0, 7.5]
    """
    reach = window // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - reach, 0)
    last = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _draw_losses(axes: Axes, losses: Series) -> None:
    for i, (name, (iterations, values)) in enumerate(losses.items()):
        colour = "0.15" if name == "total_loss" else COLOURS[i % len(COLOURS)]
        axes.plot(iterations, values, color=colour, linewidth=0.7, alpha=0.3)
        window = max(3, round(len(values) * _SMOOTHED_PART))
        _draw_line(axes, iterations, smooth(values, window), colour, name)
    # The keypoint loss starts at log(56 * 56) = 8 and the box loss near 0.1; one linear axis
    # would press all the others against its foot.
    if all((values > 0).all() for _, values in losses.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylabel("loss")
    axes.set_title("Training loss")


def _draw_learning_rate(axes: Axes, rates: Series) -> None:
    for name, (iterations, values) in rates.items():
        _draw_line(axes, iterations, values, COLOURS[0], name)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("learning rate")
    axes.set_title("Learning rate")


def _draw_precisions(axes: Axes, precisions: Series) -> None:
    for i, (name, (iterations, values)) in enumerate(precisions.items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(iterations, values, "o-", color=colour, linewidth=1.8, markersize=4, label=name)
    highest = max(values.max() for _, values in precisions.values())
    axes.set_ylim(0, float(np.clip(1.15 * highest, 5, 100)))
    axes.set_ylabel("AP (0 to 100)")
    axes.set_title("Validation AP")


def _draw_line(
    axes: Axes, iterations: np.ndarray, values: np.ndarray, colour: str, label: str
) -> None:
    marker = "o" if len(values) == 1 else None  # a line through one point is invisible
    axes.plot(iterations, values, color=colour, linewidth=1.8, marker=marker, label=label)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and _is_finite_number(row.get("iteration")) else None


def _is_finite_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_loss(name: str) -> bool:
    return name == "total_loss" or name.startswith("loss_")


def _total_first(name: str) -> tuple[bool, str]:
    return name != "total_loss", name
