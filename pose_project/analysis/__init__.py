"""Evaluation that explains: what is wrong with which keypoints, and what it costs."""

from pose_project.analysis.files import write_report
from pose_project.analysis.html import require_plotly
from pose_project.analysis.report import SCHEMA_VERSION, analyse

__all__ = ["SCHEMA_VERSION", "analyse", "require_plotly", "write_report"]
