"""The notebook of the labelling loop runs from its first cell to its last."""

import json
from pathlib import Path

import pytest
from helpers.repository import ROOT
from helpers.runs import CONFIG, TINY

from pose_project.config.loading import load_config
from pose_project.engine.runs import train

pytestmark = pytest.mark.integration


def test_the_notebook_of_the_loop_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="pip install pose_project[notebook]")
    nbformat = pytest.importorskip("nbformat")
    run = tmp_path / "model"
    # random weights find people everywhere
    overrides = [f"train.output_dir={run}", "model.roi_heads.box_predictor.test_score_thresh=0.0"]
    train(load_config(str(ROOT / CONFIG), [*TINY, *overrides]), resume=False)
    work = tmp_path / "loop"
    for name, value in (
        ("LOOP_MODEL", run),
        ("LOOP_PHOTOS", 8),
        ("LOOP_VAL", 4),
        ("LOOP_ITERATIONS", 4),
        ("LOOP_WORK", work),
        ("PYTHONPATH", ROOT),
    ):
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(ROOT / "docs" / "loop.ipynb", as_version=4)

    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": ROOT}}).execute()

    assert (work / "ranked" / "chosen.txt").read_text().count("\n") == 2
    corrected = json.loads((work / "corrected.json").read_text())
    assert len(corrected["images"]) == 2 and corrected["annotations"]
    assert (work / "run" / "model_final.pth").is_file()
    assert "labels that a model contradicts" in (work / "page" / "index.html").read_text()
