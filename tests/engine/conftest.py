"""A run small enough for a unit test: 96-pixel photos, a few channels, a few iterations."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from omegaconf import DictConfig

from pose_project.engine import PoseTrainer, load_config

TINY = [
    "dataloader.train.dataset.names=synthetic_demo_train_12",
    "dataloader.test.dataset.names=synthetic_demo_val_4",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.mapper.augmentations.0.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "train.max_iter=6",
    "train.log_period=1",
    "train.checkpointer.period=2",
    "train.visualizations=0",
    "train.device=cpu",
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
