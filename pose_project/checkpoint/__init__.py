"""Reading and writing of weights and training states."""

from pose_project.checkpoint.checkpointer import PoseCheckpointer

__all__ = ["PoseCheckpointer"]
