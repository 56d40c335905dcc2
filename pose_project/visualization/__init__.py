"""Pictures of poses and of a training run; draws, and decides nothing."""

from pose_project.visualization.curves import plot_training_curves
from pose_project.visualization.pose_visualizer import PoseVisualizer
from pose_project.visualization.side_by_side import draw_side_by_side

__all__ = ["PoseVisualizer", "draw_side_by_side", "plot_training_curves"]
