"""Configs, schedules and the trainer."""

from pose_project.engine.config import load_config
from pose_project.engine.schedule import WarmupCosine, WarmupMultiStep
from pose_project.engine.trainer import PoseTrainer

__all__ = ["PoseTrainer", "WarmupCosine", "WarmupMultiStep", "load_config"]
