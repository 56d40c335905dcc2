"""The numbers of COCO's evaluation: their names, their order, and how they are printed.

Every number is in percent, 0-100, NaN where it is undefined (no such object in the ground truth).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Metric:
    """One row of COCO's summary (https://cocodataset.org/#detection-eval)."""

    key: str
    iou: str
    area: str
    max_detections: int

    @property
    def name(self) -> str:
        """The metric in words."""
        return "Average Precision (AP)" if self.key.startswith("AP") else "Average Recall (AR)"


_ALL = "0.50:0.95"
KEYPOINT_METRICS = tuple(
    Metric(f"{kind}{suffix}", iou, area, 20)
    for kind in ("AP", "AR")
    for suffix, iou, area in (
        ("", _ALL, "all"),
        ("50", "0.50", "all"),
        ("75", "0.75", "all"),
        ("m", _ALL, "medium"),
        ("l", _ALL, "large"),
    )
)
BOX_METRICS = (
    Metric("AP", _ALL, "all", 100),
    Metric("AP50", "0.50", "all", 100),
    Metric("AP75", "0.75", "all", 100),
    Metric("APs", _ALL, "small", 100),
    Metric("APm", _ALL, "medium", 100),
    Metric("APl", _ALL, "large", 100),
    Metric("AR1", _ALL, "all", 1),
    Metric("AR10", _ALL, "all", 10),
    Metric("AR100", _ALL, "all", 100),
    Metric("ARs", _ALL, "small", 100),
    Metric("ARm", _ALL, "medium", 100),
    Metric("ARl", _ALL, "large", 100),
)
METRICS = {"bbox": BOX_METRICS, "segm": BOX_METRICS, "keypoints": KEYPOINT_METRICS}
"""The metrics of each task, in the order of ``COCOeval.stats``."""

_TITLES = {"bbox": "Boxes", "segm": "Masks", "keypoints": "Keypoints (IoU is OKS)"}


def stats_to_metrics(task: str, stats: Sequence[float]) -> dict[str, float]:
    """Return {key: percent} from ``COCOeval.stats`` (0-1, -1 where undefined)."""
    return {
        metric.key: 100 * float(value) if value >= 0 else float("nan")
        for metric, value in zip(METRICS[task], stats, strict=True)
    }


def format_table(task: str, values: dict[str, float], max_detections: int | None = None) -> str:
    """Return the table of the slides: metric, IoU, area, max detections, percent.

    An undefined number is a dash.

    Args:
        task: a key of ``METRICS``.
        values: in percent, by metric.
        max_detections: where another number of detections was scored than COCO's.
    """
    rows = []
    for metric in METRICS[task]:
        value = None if math.isnan(values[metric.key]) else values[metric.key]
        limit = max_detections or metric.max_detections
        rows.append((metric.name, metric.iou, metric.area, limit, value))
    headers = (_TITLES[task], "IoU", "Area", "Max detections", "%")
    return tabulate(
        rows, headers, tablefmt="github", floatfmt=".1f", disable_numparse=[1], missingval="-"
    )
