"""A named model on annotations of one's own: its config, with the dataset's parts exchanged."""

from collections.abc import Sequence

from detectron2.config import LazyCall as L
from detectron2.config import LazyConfig
from omegaconf import DictConfig, OmegaConf

from pose_project.config.loading import load_config
from pose_project.config.overrides import apply_overrides
from pose_project.config.schedule import WarmupCosine
from pose_project.config.settings import read_settings
from pose_project.config.train_settings import TrainSettings
from pose_project.extras.model_zoo.locating import ModelFiles, configs_folder

# To adapt weights, not to learn anew: of what the model was trained with.
_LEARNING_RATE_SHARE = 1 / 8


def fine_tuning_config(files: ModelFiles, overrides: Sequence[str]) -> DictConfig:
    """Return the config that trains a model further on ``custom.train_json``.

    Model, pixels, optimizer and precision are the model's own; data and the numbers of keypoints
    and categories follow from ``custom``, as in ``configs/custom_dataset.py``; 3,000 iterations of
    8 images at an eighth of the model's learning rate.

    Args:
        files: of ``locate_model``.
        overrides: ``key=value``, with ``custom.train_json``, ``val_json`` and ``image_root``.

    Raises:
        InputError: as ``load_config``.
    """
    cfg = load_config(files.config_file)
    custom, read_from_json = LazyConfig.load(
        str(configs_folder() / "common/custom_dataset.py"), ("custom", "read_from_json")
    )
    cfg.custom = OmegaConf.create(custom)
    read_from_json(cfg.model, cfg.dataloader)
    cfg.dataloader.train.total_batch_size = 8
    cfg.optimizer.lr *= _LEARNING_RATE_SHARE
    cfg.lr_multiplier = L(WarmupCosine)(warmup_iters=100)
    cfg.train.max_iter = 3000
    cfg.train.eval_period = cfg.train.checkpointer.period = 1000
    # which the model's own training may have counted in epochs
    cfg.train.epochs = cfg.train.eval_epochs = cfg.train.checkpoint_epochs = None
    cfg.train.init_checkpoint = files.weights
    cfg.train.output_dir = "./output/fine_tuned"
    cfg = apply_overrides(cfg, overrides)
    read_settings(TrainSettings, cfg.train, "train")
    return cfg
