"""``docs/gpu.md`` from the JSON file that ``tools/gpu.py`` wrote."""

import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.report import comparison_table
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic

_INTRODUCTION = """\
# On a GPU

One command proves and measures everything that needs a GPU, in parts of at most eight minutes:

```text
python tools/gpu.py --json docs/gpu.json --report docs/gpu.md   # or: make gpu
```

It needs no network and no package index, only PyTorch with CUDA and this project's other packages.
Where those are not installed, a folder of wheels will do: `pip install --no-index --no-deps
--target SITE WHEELS/*.whl`, then `PYTHONPATH=SITE`. `--parts` runs some of the parts and keeps
what the file says of the others.

A photo on a GPU takes the path of `pose_project/extras/gpu_inference/rcnn.py`: shapes do not depend
on what is found, the host waits twice a batch, and CUDA graphs start the kernels of a padded size
that comes again. "Peer" is Detectron2 or torchvision with the same weights in the same process;
ratios are medians over pairs of runs. PyTorch computes float32 convolutions in TF32 if not told
otherwise, and so do the times here; how far outputs differ is judged without TF32.
"""
_TASKS = {
    "measure_decoding": "Heatmaps to keypoints",
    "measure_inference": "A photo to people, R50-FPN",
    "measure_training": "A training step, R50-FPN",
}


def write_gpu_report(record_file: Path, page: Path) -> None:
    """Write the page of a run.

    Raises:
        InputError: if the file was not written by ``tools/gpu.py``.
    """
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
        parts = record["parts"]
        head = f"{record['device']}, driver {record['driver']}"
        versions = ", ".join(f"{name} {value}" for name, value in record["versions"].items())
        sections = [_INTRODUCTION, f"## {head}\n", f"{versions}.\n", _overview(parts)]
        for name, section in _SECTIONS.items():
            if parts.get(name, {}).get("record"):
                sections += section(parts[name]["record"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{record_file} is not a result of tools/gpu.py: {error!r}") from error
    write_text_atomic(page, "\n".join(sections).rstrip() + "\n")


def _overview(parts: dict[str, Any]) -> str:
    rows = []
    for name, part in parts.items():
        commit = part.get("git_commit") or "unknown commit"
        rows.append((name, part["status"][:60], part["seconds"], f"`{commit[:12]}`"))
    return tabulate(rows, ("part", "outcome", "seconds", "commit"), tablefmt="github") + "\n"


def _tests(record: dict[str, Any]) -> list[str]:
    text = f"{record['passed']} tests passed, {record['skipped']} skipped"
    failed = record["failed"]
    return ["### Tests\n", f"{text}; failed: {', '.join(failed) if failed else 'none'}.\n"]


def _counts(record: dict[str, Any]) -> list[str]:
    columns = ("waits", "our_waits", "launches", "kernels", "gpu_ms", "ms")
    rows = [
        (each["what"], each["who"], *(each.get(name, "not measured") for name in columns))
        for each in record["rows"]
    ]
    head = ("of", "by", "waits", "ours of them", "launches", "kernels", "kernels, ms", "all, ms")
    return [
        "### Waits and kernels\n",
        "A wait is an operation that PyTorch reports as synchronising; a graph is one launch. "
        "Photos of R50-FPN have 20 people, those of the demo's model four. Training is in float32, "
        "between two reports of the losses. What waits inside of `backward()` counts for the line "
        "of ours that calls it, whosever gradient it is.\n",
        tabulate(rows, head, tablefmt="github") + "\n",
    ]


def _training(title: str) -> Any:
    def section(record: dict[str, Any]) -> list[str]:
        ap = ", ".join(f"{name} AP {value:.1f}" for name, value in record["AP"].items())
        return [
            f"### {title}\n",
            f"`{record['config']}`: {record['iterations']} iterations, {record['seconds']:.0f} s "
            f"with start and evaluation, {record['seconds_per_iteration']} s each: {ap}.\n",
        ]

    return section


def _resume(record: dict[str, Any]) -> list[str]:
    apart = record.get("losses_apart")
    return [
        "### Resume after SIGKILL\n",
        f"Killed after {record['killed_after']} of {record['iterations']} iterations and resumed; "
        f"losses differ from those of a whole run by at most "
        f"{'not measured' if apart is None else f'{apart:.1e}'} (relative; kernels add in any "
        "order).\n",
    ]


def _accuracy(record: dict[str, Any]) -> list[str]:
    return ["### AP of the demo's model\n", comparison_table(record["comparisons"]) + "\n"]


def _benchmark(record: dict[str, Any]) -> list[str]:
    lines = []
    for task, title in _TASKS.items():
        of_task = [each for each in record["comparisons"] if each["task"] == task]
        if of_task:
            lines += [f"### {title}\n", comparison_table(of_task) + "\n"]
    return lines


_SECTIONS = {
    "tests": _tests,
    "counts": _counts,
    "demo": _training("Training of the demo"),
    "r50": _training("Training of R50-FPN from scratch"),
    "resume": _resume,
    "accuracy": _accuracy,
    "benchmark": _benchmark,
}
