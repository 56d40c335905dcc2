"""A device that is none: skipped where PyTorch cannot be taught one in Python."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.fake_gpu import IS_SUPPORTED, plugged_in
from helpers.narrow import narrow_config

from pose_project.engine import PoseTrainer


@pytest.fixture(scope="package", autouse=True)
def fake_gpu() -> Iterator[str]:
    """The name of the pretended GPU."""
    if not IS_SUPPORTED:
        pytest.skip("this PyTorch has no Python backend for PrivateUse1; 2.11 has")
    with plugged_in() as device:
        yield device


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves are drawn from a file, on no device, and take longer than two iterations."""
    monkeypatch.setattr(
        "pose_project.extras.pictures.training_curves.plot_training_curves", lambda *_: None
    )


@pytest.fixture
def narrow(tmp_path: Path) -> Callable[..., PoseTrainer]:
    """Build a trainer of a narrow model, ready to train."""

    def make(
        *overrides: str,
        config: str = "quick/synthetic.py",
        folder: str = "run",
        resume: bool = False,
    ) -> PoseTrainer:
        cfg = narrow_config(config, f"train.output_dir={tmp_path / folder}", *overrides)
        (tmp_path / folder).mkdir(exist_ok=True)
        trainer = PoseTrainer(cfg)
        trainer.resume_or_load(resume=resume)
        return trainer

    return make


@pytest.fixture
def losses() -> Callable[[Path], list[dict[str, float]]]:
    """Read the losses of each iteration from a run's folder."""

    def read(folder: Path) -> list[dict[str, float]]:
        rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
        found = [{key: row[key] for key in row if "loss" in key} for row in rows]
        return [each for each in found if "total_loss" in each]

    return read
