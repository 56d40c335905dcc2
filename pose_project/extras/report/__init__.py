"""Evaluation that explains: what is wrong with which keypoints, and what it costs."""

from pose_project.extras.report.analysis import SCHEMA_VERSION, analyse
from pose_project.extras.report.html import require_plotly
from pose_project.extras.report.written_files import write_report

__all__ = ["SCHEMA_VERSION", "analyse", "require_plotly", "write_report"]
