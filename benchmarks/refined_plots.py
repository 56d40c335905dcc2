"""The pictures of docs/refined.md, from the records and logs of ``benchmarks.refined``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from pose_project.utils.files import atomic_path


def plot(records: Sequence[dict[str, Any]], order: Sequence[str], path: Path) -> None:
    """Draw keypoint AP of every run, by length, case and what people are ranked by.

    Args:
        records: of the runs.
        order: of the cases, from the top.
        path: of the PNG.
    """
    cases = {
        max_iter: [
            case
            for case in order
            if any((each["case"], each["max_iter"]) == (case, max_iter) for each in records)
        ]
        for max_iter in sorted({each["max_iter"] for each in records})
    }
    counts = [len(each) for each in cases.values()]
    figure, panels = pyplot.subplots(
        len(cases),
        figsize=(7, 1.2 * len(cases) + 0.5 * sum(counts)),
        squeeze=False,
        height_ratios=counts,
    )
    marks = {"box": "o", "expected": "s", "learned": "D"}
    for (max_iter, named), axes in zip(cases.items(), panels[:, 0], strict=True):
        for shift, (ranking, mark) in zip((-0.18, 0, 0.18), marks.items(), strict=True):
            found = [
                (each["results"][ranking]["keypoints/AP"], named.index(each["case"]) + shift)
                for each in records
                if each["max_iter"] == max_iter and ranking in each["results"]
            ]
            if found:
                axes.scatter(*zip(*found, strict=True), marker=mark, label=f"ranked by: {ranking}")
        axes.set_yticks(range(len(named)), named)
        axes.invert_yaxis()
        axes.set_xlabel(f"keypoint AP after {max_iter} iterations; a mark for each seed")
        axes.grid(axis="x", alpha=0.4)
    axes.legend()
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)


def plot_curves(records: Mapping[Path, dict[str, Any]], path: Path) -> None:
    """Draw the keypoint loss over the iterations: of heatmaps, so that its unit is the same.

    Cases differ in colour; seeds are lines of one colour.

    Args:
        records: of runs of one length, by their folders; those without a log are left out.
        path: of the PNG.
    """
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    drawn: dict[str, str] = {}
    for folder, record in records.items():
        case, metrics = record["case"], folder / "metrics.json"
        if case == "likelihood" or not metrics.is_file():
            continue
        rows = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
        points = [
            (row["iteration"], row["loss_keypoint"]) for row in rows if "loss_keypoint" in row
        ]
        (line,) = axes.plot(
            *zip(*points, strict=True),
            color=drawn.get(case),
            label=None if case in drawn else case,
            linewidth=1,
        )
        drawn[case] = line.get_color()
    axes.set_xlabel("iteration")
    axes.set_ylabel("keypoint loss, nats")
    axes.grid(alpha=0.4)
    axes.legend()
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)
