"""Trained models at work: on photos, folders and videos."""

from pose_project.inference.poses import Poses
from pose_project.inference.predictor import PosePredictor

__all__ = ["PosePredictor", "Poses"]
