"""The notebook for Colab: valid, and its cells run, but for what a network is needed for."""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest
from helpers.repository import ROOT
from helpers.runs import CONFIG, TINY

from pose_project.config.loading import load_config
from pose_project.engine.runs import train
from pose_project.extras.environment.command import python_of

nbformat = pytest.importorskip("nbformat")

NOTEBOOK = ROOT / "docs" / "colab.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]


def test_it_is_a_valid_notebook_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not each.get("outputs") for each in notebook.cells)


def test_nothing_of_the_project_is_needed_before_it_is_installed(tmp_path):
    """The first cell runs in a bare Python and says what it needs; others come after it."""
    first, *rest = code_cells()
    assert "pose_project" not in first.replace('find_spec("pose_project")', "")
    assert "install_detectron2.py" in first and not any("pip" in each for each in rest)
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)  # nothing can be installed there
    bare = [str(python_of(tmp_path / "bare")), "-c", first]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(bare, env=environment, **run)
    assert done.returncode == 1 and "write into SOURCE" in done.stderr
    folder = {**environment, "COLAB_SOURCE": str(ROOT)}
    done = subprocess.run(bare, env=folder, **run)
    assert done.returncode == 1 and "No module named pip" in done.stdout + done.stderr


@pytest.mark.integration
def test_its_cells_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="pip install pose_project[notebook]")
    model = tmp_path / "model"
    # random weights find people everywhere
    overrides = [f"train.output_dir={model}", "model.roi_heads.box_predictor.test_score_thresh=0.0"]
    train(load_config(str(ROOT / CONFIG), [*TINY, *overrides]), resume=False)
    (photo, *_) = sorted(Path(os.environ["POSE_PROJECT_CACHE"]).rglob("val2017/*.jpg"))
    for name, value in (
        ("COLAB_MODEL", model),
        ("COLAB_PHOTO", photo),
        ("COLAB_COUNT", 12),
        ("COLAB_ITERATIONS", 4),
        ("PYTHONPATH", ROOT),
    ):
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": tmp_path}}

    nbclient.NotebookClient(notebook, timeout=600, resources=where).execute()

    cells = [each for each in notebook.cells if each.cell_type == "code"]
    shown = [output.get("data", {}) for each in cells for output in each.outputs]
    pictures = [each for each in shown if "image/png" in each or "image/jpeg" in each]
    assert len(pictures) == 2  # the photo, and one with the tuned model
    assert any("keypoint_score" in each.get("text/html", "") for each in shown)
    assert (tmp_path / "tuned" / "model_final.pth").is_file()
