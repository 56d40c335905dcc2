"""Two models on the same photos: what differs, how surely, and where."""

from typing import Any

import numpy as np

from pose_project.extras.report.arrays import Photos
from pose_project.extras.report.headline import interval

NUM_MOVED = 20
"""Photos that are named in either direction."""


def compare_headlines(
    keys: list[tuple[str, str]],
    numbers: tuple[np.ndarray, np.ndarray],
    samples: tuple[np.ndarray, np.ndarray],
) -> list[dict[str, Any]]:
    """Return each number of both runs, their difference and its paired bootstrap interval.

    Args:
        keys: (task, metric) of each number.
        numbers: of the first and of the second run, in percent.
        samples: (resamples, numbers) of both, on the same drawings of photos.

    Returns:
        ``task metric first second delta low high``; ``clear`` where the interval has no zero in it.
    """
    deltas = numbers[1] - numbers[0]
    low, high = interval(samples[1] - samples[0])
    rows = []
    for place, (task, metric) in enumerate(keys):
        row = {
            "task": task,
            "metric": metric,
            "first": float(numbers[0][place]),
            "second": float(numbers[1][place]),
            "delta": float(deltas[place]),
            "low": float(low[place]),
            "high": float(high[place]),
        }
        rows.append({**row, "clear": bool(low[place] > 0 or high[place] < 0)})
    return rows


def moved_photos(
    photos: Photos, num_people: np.ndarray, oks: tuple[np.ndarray, np.ndarray]
) -> dict[str, list[dict[str, Any]]]:
    """Return the photos whose mean OKS rose and fell the most.

    Args:
        photos: P of them.
        num_people: (P,) who are to be found.
        oks: (P,) sums over people of the first and of the second run; 0 for whom nobody found.

    Returns:
        ``better`` and ``worse``: rows ``id file_name first second delta``, mean OKS in 0-1.
    """
    first, second = (each / np.maximum(num_people, 1) for each in oks)
    delta = second - first
    order = np.argsort(delta, kind="stable")

    def rows(places: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "id": int(photos.ids[place]),
                "file_name": photos.file_names[place],
                "first": float(first[place]),
                "second": float(second[place]),
                "delta": float(delta[place]),
            }
            for place in places
        ]

    return {
        "better": rows([place for place in order[::-1][:NUM_MOVED] if delta[place] > 0]),
        "worse": rows([place for place in order[:NUM_MOVED] if delta[place] < 0]),
    }


def moved_keypoints(
    first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return how each keypoint's numbers differ, the largest change of AP first.

    Args:
        first: ``rows`` of ``score_keypoints`` of the first run.
        second: of the second run.

    Returns:
        ``keypoint``; ``AP`` and ``AR`` in points; ``median_error_px``; ``median_error_sigmas``.
    """
    rows = [
        {
            "keypoint": a["keypoint"],
            "AP": b["AP"] - a["AP"],
            "AR": b["AR"] - a["AR"],
            "median_error_px": b["error_px"]["median"] - a["error_px"]["median"],
            "median_error_sigmas": b["error_sigmas"]["median"] - a["error_sigmas"]["median"],
        }
        for a, b in zip(first, second, strict=True)
    ]
    return sorted(rows, key=lambda row: -abs(np.nan_to_num(row["AP"])))
