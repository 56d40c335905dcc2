"""What a run says about its errors when it ends."""

import json

import pytest
from helpers.repository import ROOT, load_tool
from helpers.runs import TINY_RUN

pytestmark = pytest.mark.integration

pytest.importorskip("plotly", reason="plotly is not installed")


def train(folder, *overrides: str) -> int:
    command = ["--config-file", str(ROOT / "configs/quick/synthetic.py"), *TINY_RUN]
    command += ["train.max_iter=1", "train.report=True", f"train.output_dir={folder}", *overrides]
    return load_tool("train_net").main(command)


def test_a_run_ends_with_a_report(tmp_path, capsys):
    assert train(tmp_path / "run") == 0
    assert "report/report.html" in capsys.readouterr().out
    assert (tmp_path / "run/report/report.html").stat().st_size > 10_000
    report = json.loads((tmp_path / "run/report/report.json").read_text())
    metrics = json.loads((tmp_path / "run/inference/metrics.json").read_text())["percent"]
    assert report["headline"]["keypoints"]["AP"]["value"] == pytest.approx(
        metrics["keypoints"]["AP"], abs=1e-6
    )


def test_a_run_without_detections_is_complete_without_a_report(tmp_path, capsys):
    nobody = "model.roi_heads.box_predictor.test_score_thresh=1.1"
    assert train(tmp_path / "run", nobody) == 0
    assert "No report: " in capsys.readouterr().out
    assert not (tmp_path / "run/report").exists()
    assert (tmp_path / "run/model_final.pth").exists()
