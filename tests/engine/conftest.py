"""A run small enough for a unit test: 96-pixel photos, a few channels, a few iterations."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, TINY_RUN
from omegaconf import DictConfig

from pose_project.engine import PoseTrainer, load_config

TINY = [
    *TINY_RUN,
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "train.max_iter=6",
    "train.log_period=1",
    "train.checkpointer.period=2",
]


@pytest.fixture
def tiny_config(tmp_path: Path) -> Callable[..., DictConfig]:
    def make(*overrides: str, folder: str = "run") -> DictConfig:
        config = str(ROOT / "configs/quick/synthetic.py")
        return load_config(config, [*TINY, f"train.output_dir={tmp_path / folder}", *overrides])

    return make


@pytest.fixture
def start(tiny_config) -> Callable[..., PoseTrainer]:
    """Build a trainer for a tiny run, ready to train."""

    def make(*overrides: str, folder: str = "run", resume: bool = False) -> PoseTrainer:
        cfg = tiny_config(*overrides, folder=folder)
        Path(cfg.train.output_dir).mkdir(exist_ok=True)
        trainer = PoseTrainer(cfg)
        trainer.resume_or_load(resume=resume)
        return trainer

    return make
