"""Configs, schedules and the trainer."""

from pose_project.config.loading import load_config
from pose_project.config.schedule import WarmupCosine, WarmupMultiStep
from pose_project.engine.trainer import PoseTrainer

__all__ = ["PoseTrainer", "WarmupCosine", "WarmupMultiStep", "load_config"]
