"""The training curves, from metrics.json files as runs leave them."""

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pose_project.extras.pictures.training_curves import plot_training_curves, read_series, smooth

ROWS: list[dict[str, Any]] = [
    *({"iteration": i, "total_loss": 9.0 / i, "loss_keypoint": 8.0 / i} for i in range(1, 60)),
    *({"iteration": i, "lr": 0.02} for i in range(1, 60)),
    {"iteration": 30, "keypoints/AP": float("nan"), "bbox/AP": 10.0, "bbox/AP50": 30.0},
    {"iteration": 59, "keypoints/AP": 25.0, "bbox/AP": 50.0},
]


def write(folder: Path, rows: list[dict[str, Any]], tail: str = "") -> Path:
    path = folder / "metrics.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def dark_or_coloured(png: Path) -> float:
    """Return the share of pixels that are not white."""
    return float((cv2.imread(str(png)).min(axis=2) < 200).mean())


def width(png: Path) -> int:
    return cv2.imread(str(png)).shape[1]


def test_one_panel_for_each_kind_of_curve(tmp_path: Path) -> None:
    widths = []
    for keys in (("total_loss",), ("total_loss", "lr"), ("total_loss", "lr", "bbox/AP")):
        rows = [{k: v for k, v in row.items() if k in (*keys, "iteration")} for row in ROWS]
        png = tmp_path / f"{len(keys)}.png"
        plot_training_curves(write(tmp_path, rows), png)
        assert dark_or_coloured(png) > 0.01
        widths.append(width(png))

    assert widths == [widths[0], 2 * widths[0], 3 * widths[0]]


def test_only_the_picture_is_left_in_a_new_folder(tmp_path: Path) -> None:
    png = tmp_path / "run" / "training_curves.png"
    plot_training_curves(write(tmp_path, ROWS), png)

    assert [path.name for path in png.parent.iterdir()] == ["training_curves.png"]
    assert dark_or_coloured(png) > 0.01


@pytest.mark.parametrize("tail", ['{"iteration": 60, "total_l', "[1, 2]\n", '{"total_loss": 1}\n'])
def test_unreadable_lines_are_left_out(
    tmp_path: Path, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, ROWS, tail)
    with caplog.at_level(logging.WARNING):
        series = read_series(path)

    assert series["total_loss"][0].tolist() == list(range(1, 60))
    assert "left out 1" in caplog.text
    plot_training_curves(path, tmp_path / "curves.png")
    assert dark_or_coloured(tmp_path / "curves.png") > 0.01


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    rows = [*ROWS, {"iteration": 60, "total_loss": float("inf"), "lr": "fast", "bbox/AP": None}]
    series = read_series(write(tmp_path, rows))

    assert series["keypoints/AP"][0].tolist() == [59]
    assert series["bbox/AP"][1].tolist() == [10.0, 50.0]
    assert all(np.isfinite(values).all() for _, values in series.values())
    assert series["total_loss"][0].max() == series["lr"][0].max() == 59


def test_the_later_row_of_an_iteration_counts(tmp_path: Path) -> None:
    rows = [{"iteration": i, "lr": lr} for i, lr in ((1, 0.1), (3, 0.3), (2, 0.2), (3, 0.4))]
    iterations, values = read_series(write(tmp_path, rows))["lr"]

    assert iterations.tolist() == [1, 2, 3]
    assert values.tolist() == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    "rows", [[], [{"iteration": 1, "data_time": 0.1}], [{"iteration": 1, "bbox/AP": float("nan")}]]
)
def test_nothing_to_plot_writes_nothing_and_says_so(
    tmp_path: Path, rows: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        plot_training_curves(write(tmp_path, rows), tmp_path / "curves.png")

    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
    assert "no picture" in caplog.text


@pytest.mark.parametrize("loss", [3.0, 0.0, -2.0])
def test_a_single_row_is_visible(tmp_path: Path, loss: float) -> None:
    png = tmp_path / "curves.png"
    plot_training_curves(write(tmp_path, [{"iteration": 19, "loss_keypoint": loss}]), png)

    pixels = cv2.imread(str(png))
    panel = pixels[: int(0.75 * len(pixels))].astype(int)  # without the legend below it
    assert (panel.max(axis=2) - panel.min(axis=2) > 60).sum() > 20, "only the marker has a colour"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="metrics.json"):
        plot_training_curves(tmp_path / "metrics.json", tmp_path / "curves.png")


def test_smooth_keeps_constants_and_does_not_lag() -> None:
    assert smooth(np.full(7, 2.0), window=3).tolist() == [2.0] * 7
    ramp = np.arange(50.0)
    np.testing.assert_allclose(smooth(ramp, window=9)[4:-4], ramp[4:-4])
