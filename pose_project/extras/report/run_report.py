"""The report of a run's last evaluation, from the files that it has written."""

import logging
from pathlib import Path

from detectron2.data import MetadataCatalog
from detectron2.utils import comm
from omegaconf import DictConfig

from pose_project.extras.report.analysis import analyse
from pose_project.extras.report.written_files import write_report
from pose_project.utils.errors import PoseError

logger = logging.getLogger(__name__)


def explain(cfg: DictConfig, results: dict[str, dict[str, float]] | None) -> None:
    """Write the report of the last evaluation, as the command analyze does; a fault is logged.

    Args:
        cfg: of the run.
        results: of that evaluation; without keypoints there is nothing to explain.
    """
    if not comm.is_main_process() or "keypoints" not in (results or {}):
        return
    try:
        path = write_run_report(cfg)
    except (PoseError, OSError) as error:  # the run itself is complete
        logger.warning("No report: %s", error)
    else:
        logger.info("What is wrong with which keypoints: %s", path)


def write_run_report(cfg: DictConfig) -> Path:
    """Write ``train.output_dir/report`` and return the path of its page.

    Raises:
        InputError: if something that the report needs is not there, such as a detection.
    """
    dataset = MetadataCatalog.get(cfg.dataloader.test.dataset.names)
    output_dir = Path(cfg.train.output_dir)
    found = output_dir / "inference" / "coco_instances_results.json"
    report = analyse(Path(dataset.json_file), found, images=Path(dataset.image_root))
    write_report(report, output_dir / "report")
    return output_dir / "report" / "report.html"
