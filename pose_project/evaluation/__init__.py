"""COCO evaluation and its tables."""

from pose_project.evaluation.evaluator import PoseEvaluator
from pose_project.evaluation.scoring import score_results
from pose_project.evaluation.tables import METRICS, format_table

__all__ = ["METRICS", "PoseEvaluator", "format_table", "score_results"]
