"""The report as Markdown for a pull request: headline, errors, keypoints, slices, comparison."""

import html
import math
import re
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from pose_project.extras.report.diagnosis import KINDS

_TASKS = {"keypoints": "Keypoints", "bbox": "Boxes"}
ERROR_NAMES = {
    "jitter": "jitter",
    "inversion": "inversion (left for right)",
    "swap": "swap (another person)",
    "miss": "miss",
    "false_positives": "background false positives",
    "false_negatives": "background false negatives",
    "optimal_score": "scores out of order",
}
_MOST_PHOTOS = 10


def format_report(report: dict[str, Any]) -> str:
    """Return a report of :func:`analyse` as Markdown; names from the files are escaped."""
    counts, settings, inputs = report["counts"], report["settings"], report["inputs"]
    parts = [
        "# Evaluation",
        f"{counts['predictions']:,} predictions, {counts['people_to_be_found']:,} people to be "
        f"found in {counts['photos']:,} photos: {_code(inputs['results']['path'])} against "
        f"{_code(inputs['annotations']['path'])}.",
        *(f"- {escape(note)}" for note in report["notes"]),
        "## COCO's numbers",
        f"In percent, with {settings['confidence']:.0%} intervals from {settings['resamples']:,} "
        "drawings of as many photos.",
    ]
    for task, values in report["headline"].items():
        rows = [(name, *each.values()) for name, each in values.items()]
        parts.append(_table((_TASKS[task], "%", "low", "high"), rows))
    if report["comparison"] is not None:
        parts += _comparison(report)
    for category in report["categories"]:
        parts += _category(category)
    if report["box_errors"] is not None:
        errors = report["box_errors"]
        parts += [
            "## Errors of boxes (TIDE)",
            _table(
                ("type", "count", "AP50 gained"),
                [
                    (name, errors["counts"].get(name, "-"), gain)
                    for name, gain in errors["gain"].items()
                ],
            ),
        ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line, and that is not HTML.

    >>> escape("<b>a|b_c</b>")
    '&lt;b&gt;a\\|b\\_c&lt;/b&gt;'
    """
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _category(category: dict[str, Any]) -> list[str]:
    diagnosis, summary = category["diagnosis"], category["summary"]
    total = sum(diagnosis["keypoints"].values())
    rows: list[tuple[Any, ...]] = []
    for name, title in ERROR_NAMES.items():
        gain = diagnosis["gain"][name]
        if name in diagnosis["keypoints"]:
            count = diagnosis["keypoints"][name]
            rows.append((title, count, 100 * count / total if total else math.nan, gain))
        else:
            rows.append((title, diagnosis.get(name, "-"), math.nan, gain))
    keypoints = category["keypoints"]["rows"]
    per_keypoint = diagnosis["per_keypoint"]
    shares = [_shares(per_keypoint, place) for place in range(len(keypoints) - 1)]
    shares.append(_shares({name: [n] for name, n in diagnosis["keypoints"].items()}, 0))
    parts = [
        f"## {escape(category['name'])}: AP {_number(summary['AP'])}, AR {_number(summary['AR'])}",
        f"{diagnosis['matched']:,} of {diagnosis['people']:,} people are found at an OKS of 0.1. "
        "What is wrong, and the points of AP that its correction alone would bring:",
        _table(("error", "count", "% of keypoints", "AP gained"), rows),
        "Keypoint by keypoint: AP with it alone, PCK by the box's diagonal, median distance in "
        "pixels and in sigmas, and the share of each kind, in percent:",
        _table(
            ("keypoint", "AP", "PCK@0.05", "PCK@0.1", "px", "sigmas", *KINDS),
            [
                (
                    escape(row["keypoint"]),
                    row["AP"],
                    row["pck"]["box diagonal"]["0.05"],
                    row["pck"]["box diagonal"]["0.1"],
                    row["error_px"]["median"],
                    row["error_sigmas"]["median"],
                    *share,
                )
                for row, share in zip(keypoints, shares, strict=True)
            ],
        ),
        _table(
            ("by", "slice", "people", "AP", "AP50", "AP75", "AR"),
            [tuple(row.values()) for row in category["slices"]],
        ),
    ]
    for name, curve in category["calibration"].items():
        if curve is not None and curve["ece"] is not None:
            parts.append(
                f"Expected calibration error of {name}' scores: {curve['ece']:.3f}; at temperature "
                f"{curve['temperature']:.3f} it would be {curve['ece_at_temperature']:.3f}."
            )
    return parts


def _comparison(report: dict[str, Any]) -> list[str]:
    comparison = report["comparison"]
    rows = []
    for row in comparison["headline"]:
        name = f"{_TASKS[row['task']]} {row['metric']}"
        mark = "yes" if row["clear"] else ""
        values = (row["first"], row["second"], row["delta"], row["low"], row["high"])
        rows.append((name, *values, mark))
    parts = [
        f"## Compared with {_code(report['inputs']['compared']['path'])}",
        *(f"- {escape(note)}" for note in comparison["notes"]),
        "Paired: both on the same drawings of photos. A difference is clear if its interval does "
        "not hold 0.",
        _table(("number", "this", "other", "difference", "low", "high", "clear"), rows),
    ]
    for direction, photos in comparison["photos"].items():
        if photos:
            parts.append(f"Photos whose people the other run finds {direction}, by mean OKS:")
            table = [
                (escape(row["file_name"]), row["first"], row["second"], row["delta"])
                for row in photos[:_MOST_PHOTOS]
            ]
            parts.append(_table(("photo", "this", "other", "difference"), table, ".3f"))
    for category, moved in zip(report["categories"], comparison["keypoints"], strict=True):
        headers = ("keypoint", "AP", "AR", "median px", "median sigmas")
        parts.append(f"Keypoints of {escape(category['name'])}, other minus this:")
        rows = [(escape(row["keypoint"]), *list(row.values())[1:]) for row in moved]
        parts.append(_table(headers, rows, ".2f"))
    return parts


def _shares(counts: dict[str, list[int]], place: int) -> list[float]:
    own = [counts[name][place] for name in KINDS]
    return [100 * count / sum(own) if sum(own) else math.nan for count in own]


def _table(headers: Sequence[str], rows: list[tuple[Any, ...]], floats: str = ".1f") -> str:
    if not rows:
        return ""
    shown = [[None if _is_nan(cell) else cell for cell in row] for row in rows]
    texts = [place for place, cell in enumerate(rows[0]) if isinstance(cell, str)]
    return tabulate(shown, headers, "github", floats, missingval="-", disable_numparse=texts)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _code(path: str) -> str:
    return f"`{path.replace('`', '')}`"
