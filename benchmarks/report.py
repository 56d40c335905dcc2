"""``docs/benchmarks.md`` and its plots, from the JSON files that ``tools/benchmark.py`` wrote."""

import json
import math
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tabulate import tabulate

from benchmarks.compare import growth_exponent
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, write_text_atomic

COUNTS, REAL_PHOTOS = "device_counts.json", "real_photos.json"
_OURS, _THEIRS = "#0072B2", "#D55E00"  # Okabe and Ito's palette
_INTRODUCTION = """\
# Benchmarks

Ours and a peer do the same work in turn, in one process, on the same machine; the ratio is the
median over pairs of runs that follow each other, with the smallest and the largest. Memory is what
one run adds at its highest. "Growth" is p of time ~ size^p over the larger half of the sizes; 1 is
linear. What was not measured on a device is not here.

- **decode**: heatmaps to keypoints. Maps shaped like a trained model's, pure noise, and boxes so
  small that nothing can be saved.
- **inference**: the whole R50-FPN model, with each switch of `train.inference` in
  docs/settings.md; "default" has `fold_batchnorm` and `channels_last` on. Random weights
  with the statistics of trained ones: float32 finds the same people, and **accuracy** judges bf16
  by the AP of the demo's model. `topk_per_image=20` leaves the points of the other 80 out.
- **train**: one step of SGD, from a batch in memory to new weights.
- **eval**: predictions of all photos to numbers, boxes and keypoints, Detectron2's evaluator with
  pycocotools or with its compiled one.
- **data**: JPEGs to training batches. **startup**: whole processes up to the first iteration.
- **counts**: how often the host waits for a device, and what it starts there; counted without one.

This page is written by `python tools/benchmark.py --report docs/benchmarks.md` from the files in
`docs/benchmarks/`; `python tools/benchmark.py --task TASK --peer PEER --json FILE` makes those.
What a GPU gives is in [gpu.md](gpu.md).
"""


def write_report(page: Path) -> int:
    """Write the page and its plots, and return how many JSON files it was made from.

    Args:
        page: a Markdown file; the JSON files are in the folder beside it of the same name without
            ``.md``, and the plots go there as well.

    Raises:
        InputError: if there are no JSON files, or one was not written by ``tools/benchmark.py``.
    """
    folder = page.with_suffix("")
    files = sorted(path for path in folder.glob("*.json") if _is_comparison(path))
    if not files:
        raise InputError(f"no JSON files in {folder}; make them with --task TASK --json FILE")
    records = [(path, _read(path)) for path in files]  # all of them before anything is written
    sections = [_section(path, record, folder.name) for path, record in records]
    if (folder / COUNTS).exists():
        sections.append(_counts_section(json.loads((folder / COUNTS).read_text(encoding="utf-8"))))
    if (folder / REAL_PHOTOS).exists():
        record = json.loads((folder / REAL_PHOTOS).read_text(encoding="utf-8"))
        sections.append(_real_photos_section(record))
    write_text_atomic(page, "\n".join([_INTRODUCTION, *sections]))
    return len(files)


def _counts_section(record: dict[str, Any]) -> str:
    commit, torch = record.get("git_commit") or "unknown commit", record["versions"]["torch"]
    return f"""\
## counts against detectron2, no device

`{" ".join(record["command"])}` at `{commit[:12]}`; torch {torch}.

Ours / Detectron2's, counted in the tests on a pretended GPU, with all layers of the models but few
channels, and ten people in each photo. *Syncs*: the host waits for a number, a size or a copy.
*Uploads*: copies to the device that are not from pinned memory: CUDA waits for them too, or may.
*Kernels*: operations that start work there; some are several kernels of a real device.

{counts_table(record["counts"])}
"""


def _real_photos_section(record: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    absent = "".join(f"- **{name}**: {why}\n" for name, why in record["absent"].items())
    return f"""\
## {record["photos"]} real photos, {record["device"]}

`python -m benchmarks.{" ".join(record["command"]).replace(".py", "", 1)}` at
`{(record["git_commit"] or "unknown commit")[:12]}`; {versions}.

Photos of COCO val2017 with {record["people"]} annotated people; AP and AR of pycocotools, in
percent; milliseconds are the median of a photo, resizing included, the models one after the other
on a busy machine.

{tabulate(record["rows"], headers="keys", tablefmt="github", floatfmt=".1f")}

The rows do not say which model is better:

- Ours is the compact model of `make demo`, which has seen synthetic people only. A model of ours
  that was trained on real photos could not be had for this run: the published R50-FPN weights were
  out of reach. `--model keypoint_rcnn_R50_FPN_3x` adds it where they can be fetched.
- MoveNet was trained on COCO and on photos of its authors', gives six people at most, and sees a
  long side of 256 pixels; ours sees a short side of 192. It ran in TensorFlow.js (WebAssembly),
  ours in PyTorch: the times compare programs as one would install them, not the two designs.
- So few photos make AP uncertain by several points.
{absent}"""


def counts_table(counts: dict[str, dict[str, dict[str, int]]]) -> str:
    """Return {work: {"ours" or "detectron2": {what: number}}} as a Markdown table."""
    rows = []
    for work, sides in counts.items():
        ours, theirs = sides["ours"], sides["detectron2"]
        rows.append({"work": work, **{each: f"{ours[each]} / {theirs[each]}" for each in ours}})
    return tabulate(rows, headers="keys", tablefmt="github")


def _is_comparison(path: Path) -> bool:
    """Return whether it is not the record of another page, which names no task."""
    try:
        return "task" in json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return True  # and is refused when it is read


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["task"], record["device"], record["versions"], record["command"], record["peer"]  # noqa: B018
        for each in record["comparisons"]:
            each["ours"]["median"], each["theirs"]["median"], each["ratio_range"][1]  # noqa: B018
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is not a result of tools/benchmark.py: {error!r}") from error
    return record


def _section(path: Path, record: dict[str, Any], folder: str) -> str:
    commit = record.get("git_commit") or "unknown commit"
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines = [
        f"## {record['task']} against {record['peer']}, {record['device']}",
        "",
        f"`{' '.join(record['command'])}` at `{commit[:12]}`; {versions}.",
        "",
    ]
    lines += [comparison_table(record["comparisons"]), ""]
    growing = {
        key: group for key, group in _series(record["comparisons"]).items() if len(group) > 1
    }
    if growing:
        plot = path.with_suffix(".png")
        _plot(growing, plot)
        lines += [f"![cost against work]({folder}/{plot.name})", ""]
    if "dataset" in record:
        rows = list(record["dataset"].items())
        lines += [tabulate(rows, ("annotations of COCO's size", "value"), tablefmt="github"), ""]
    return "\n".join(lines)


def _series(comparisons: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the comparisons by (case, peer), in order of size."""
    series: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in comparisons:
        series.setdefault((each["case"], each["peer"]), []).append(each)
    return {key: sorted(group, key=_size) for key, group in series.items()}


def _size(comparison: dict[str, Any]) -> float:
    return next(iter(comparison["work"].values()))


def comparison_table(comparisons: list[dict[str, Any]]) -> str:
    """Return a Markdown table of records of ``Comparison``."""
    rows = []
    for (case, peer), group in _series(comparisons).items():
        sizes = [_size(each) for each in group]
        growth = growth_exponent(sizes, [each["ours"]["median"] for each in group])
        for each in group:
            low, high = each["ratio_range"]
            memory = "-"
            if "ours_mb" in each and "theirs_mb" in each:
                memory = f"{each['ours_mb']:.0f} / {each['theirs_mb']:.0f}"
            apart = ", ".join(f"{d['name']} {d['value']:.0e}" for d in each["differences"])
            is_last = each is group[-1] and not math.isnan(growth)
            rows.append(
                (
                    case,
                    peer,
                    ", ".join(f"{value:g} {name}" for name, value in each["work"].items()),
                    f"{1e3 * each['ours']['median']:.2f}",
                    f"{1e3 * each['theirs']['median']:.2f}",
                    f"{each['ratio']:.2f} ({low:.2f}-{high:.2f})",
                    f"{growth:.2f}" if is_last else "",
                    memory,
                    apart,
                )
            )
    columns = (
        "case",
        "peer",
        "work",
        "ours, ms",
        "peer, ms",
        "ratio",
        "growth",
        "MB, ours / peer",
        "outputs differ by",
    )
    return tabulate(rows, columns, tablefmt="github", disable_numparse=True)


def _plot(series: dict[tuple[str, str], list[dict[str, Any]]], path: Path) -> None:
    """Draw the time of both against the size of the work, a panel for each case and peer."""
    figure = Figure(figsize=(4.2 * len(series), 4.0), dpi=110)
    figure.set_layout_engine("constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(series), squeeze=False)[0]
    for axes, ((case, peer), group) in zip(panels, series.items(), strict=True):
        sizes = [_size(each) for each in group]
        for name, side, colour in (("ours", "ours", _OURS), ("peer", "theirs", _THEIRS)):
            times = [each[side] for each in group]
            axes.plot(sizes, [each["median"] for each in times], "o-", color=colour, label=name)
            axes.fill_between(
                sizes,
                [each["shortest"] for each in times],
                [each["longest"] for each in times],
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(next(iter(group[0]["work"])))
        axes.set_ylabel("seconds")
        axes.set_title(f"{case}\n{peer}", fontsize=9)
        axes.grid(True, color="0.9", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
