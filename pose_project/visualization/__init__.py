"""Poses on a photo; draws, and decides nothing."""

from pose_project.visualization.pose_visualizer import PoseVisualizer

__all__ = ["PoseVisualizer"]
