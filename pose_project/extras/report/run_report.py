"""The report of a run's last evaluation, from the files that it has written."""

from pathlib import Path

from detectron2.data import MetadataCatalog
from omegaconf import DictConfig

from pose_project.extras.report.analysis import analyse
from pose_project.extras.report.written_files import write_report


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
