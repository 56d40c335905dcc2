"""The files of a report, in a folder."""

from pathlib import Path
from typing import Any

from pose_project.extras.report.analysis import write_json
from pose_project.extras.report.html import require_plotly, write_html
from pose_project.extras.report.markdown import format_report
from pose_project.extras.report.plots import plot_report
from pose_project.utils.files import write_text_atomic


def write_report(report: dict[str, Any], output_dir: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``report.json`` and the plots; return the plots.

    Args:
        report: of ``analyse``.
        output_dir: made if it is not there.

    Raises:
        InputError: if plotly is not installed, before anything is written.
    """
    require_plotly()
    write_json(report, output_dir / "report.json")
    write_text_atomic(output_dir / "report.md", format_report(report))
    plots = plot_report(report, output_dir)
    write_html(report, output_dir / "report.html")
    return plots
