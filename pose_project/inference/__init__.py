"""Trained models at work: on photos, folders and videos."""

from pose_project.inference.predictor import PosePredictor
from pose_project.structures.poses import Poses

__all__ = ["PosePredictor", "Poses"]
