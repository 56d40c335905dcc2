"""What is wrong with a keypoint dataset, why it matters, and a corrected copy."""

from pose_project.extras.doctor.examination import (
    Examination,
    examine,
    examine_content,
    log_findings,
)
from pose_project.extras.doctor.findings import Finding, Report, Severity

__all__ = [
    "Examination",
    "Finding",
    "Report",
    "Severity",
    "examine",
    "examine_content",
    "log_findings",
]
