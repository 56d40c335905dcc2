"""Hooks of the training loop."""

from pose_project.engine.hooks.averaging import WeightAverage
from pose_project.engine.hooks.early_stopping import EarlyStopping
from pose_project.engine.hooks.metrics import MetricsWriter, RawJSONWriter
from pose_project.engine.hooks.preemption import StopOnSignal
from pose_project.engine.hooks.progress import Progress
from pose_project.engine.hooks.saving import Checkpoints, Evaluation
from pose_project.engine.hooks.validation_loss import ValidationLoss

__all__ = [
    "Checkpoints",
    "EarlyStopping",
    "Evaluation",
    "MetricsWriter",
    "Progress",
    "RawJSONWriter",
    "StopOnSignal",
    "ValidationLoss",
    "WeightAverage",
]
