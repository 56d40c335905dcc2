"""What fine-tuning takes from a model's own config, and what it sets anew."""

from pathlib import Path

import pytest
from detectron2.config import LazyConfig
from helpers.repository import ROOT

from pose_project.config.loading import load_config
from pose_project.extras.model_zoo.fine_tuning import fine_tuning_config
from pose_project.extras.model_zoo.locating import ModelFiles
from pose_project.utils.errors import InputError


@pytest.fixture
def run(tmp_path: Path) -> ModelFiles:
    """A run's folder, whose lengths and periods were counted in epochs."""
    overrides = ["train.epochs=42", "train.eval_epochs=1", "train.checkpoint_epochs=2"]
    cfg = load_config(str(ROOT / "configs/quick/synthetic.py"), overrides)
    LazyConfig.save(cfg, str(tmp_path / "config.yaml"))
    return ModelFiles(str(tmp_path / "config.yaml"), str(tmp_path / "model_final.pth"))


def test_the_schedule_is_that_of_fine_tuning(run):
    cfg = fine_tuning_config(run, ["custom.train_json=a.json", "custom.val_json=b.json"])
    train = cfg.train
    assert (train.max_iter, train.epochs) == (3000, None)
    assert (train.eval_period, train.eval_epochs) == (1000, None)
    assert (train.checkpointer.period, train.checkpoint_epochs) == (1000, None)
    assert train.init_checkpoint == run.weights
    assert cfg.optimizer.lr == pytest.approx(1.5e-3 / 8)
    assert cfg.dataloader.train.dataset.names.startswith("a.json@")


def test_overrides_count_last(run):
    cfg = fine_tuning_config(run, ["train.epochs=3", "optimizer.lr=0.1"])
    assert (cfg.train.epochs, cfg.train.max_iter, cfg.optimizer.lr) == (3, None, 0.1)
    with pytest.raises(InputError, match="did you mean"):
        fine_tuning_config(run, ["train.max_itr=3"])
