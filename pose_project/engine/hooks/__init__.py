"""Hooks of the training loop."""

from pose_project.engine.hooks.metrics import MetricsWriter, RawJSONWriter
from pose_project.engine.hooks.preemption import StopOnSignal
from pose_project.engine.hooks.progress import Progress
from pose_project.engine.hooks.saving import Checkpoints, Evaluation

__all__ = [
    "Checkpoints",
    "Evaluation",
    "MetricsWriter",
    "Progress",
    "RawJSONWriter",
    "StopOnSignal",
]
