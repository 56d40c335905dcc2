"""Evaluation that explains: what is wrong with which keypoints, and what it costs."""

from pose_project.analysis.html import require_plotly, write_html
from pose_project.analysis.markdown import format_report
from pose_project.analysis.plots import plot_report
from pose_project.analysis.report import SCHEMA_VERSION, analyse, write_json

__all__ = [
    "SCHEMA_VERSION",
    "analyse",
    "format_report",
    "plot_report",
    "require_plotly",
    "write_html",
    "write_json",
]
