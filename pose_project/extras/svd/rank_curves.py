"""Curves over the rank of a compressed model, beside the values of the original."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose_project.utils.files import atomic_path
from pose_project.visualization.palette import COLOURS


@dataclass(frozen=True)
class Panel:
    """What one panel shows.

    Attributes:
        title: above it.
        unit: beside its vertical axis, which begins at 0.
        curves: name -> a value for each rank.
        original: name of a curve -> its value without compression, drawn as a dashed line.
    """

    title: str
    unit: str
    curves: Mapping[str, Sequence[float]]
    original: Mapping[str, float]


def plot_rank_curves(labels: Sequence[str], panels: Sequence[Panel], output_png: Path) -> None:
    """Draw a panel for each quantity; ranks stand side by side at equal distances.

    The picture is written as a whole or not at all.

    Args:
        labels: the ranks, in the order of the curves' values.
        panels: at least one.
        output_png: the picture to write.

    Raises:
        OSError: if the picture cannot be written.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.4), dpi=90)
    figure.set_layout_engine("constrained", w_pad=0.12)
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for (name, values), colour in zip(panel.curves.items(), COLOURS, strict=False):
            axes.plot(labels, values, "o-", color=colour, linewidth=1.8, markersize=4, label=name)
            if name in panel.original:
                value = panel.original[name]
                axes.axhline(
                    value, color=colour, linewidth=1.2, linestyle="--", label=f"{name}, original"
                )
        axes.set_ylim(bottom=0)
        axes.set_title(panel.title)
        axes.set_ylabel(panel.unit)
        axes.set_xlabel("rank")
        axes.grid(True, color="0.9", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    with atomic_path(output_png) as temporary:
        figure.savefig(temporary, format="png")
