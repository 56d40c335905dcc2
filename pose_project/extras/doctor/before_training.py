"""The doctor's line for each dataset of a training."""

from collections.abc import Iterator

from detectron2.utils import comm
from omegaconf import DictConfig, ListConfig, OmegaConf

from pose_project.data import resolve_dataset
from pose_project.data.annotation_files import load_annotations
from pose_project.extras.doctor.examination import log_findings


def log_dataset_findings(cfg: DictConfig) -> None:
    """Log what the doctor finds wrong with the datasets of a training, a line for each."""
    if not comm.is_main_process():
        return
    for name in dict.fromkeys(_dataset_names(cfg)):
        json_file = resolve_dataset(name).get("json_file")
        if json_file is not None:
            log_findings(json_file, load_annotations(json_file).content)


def _dataset_names(cfg: DictConfig) -> Iterator[str]:
    """Yield the names of the datasets; the trainer refuses what is not a name."""
    for loader in ("train", "test"):
        key = f"dataloader.{loader}.dataset.names"
        names = OmegaConf.select(cfg, key, throw_on_resolution_failure=False)
        for name in names if isinstance(names, ListConfig) else [names]:
            if isinstance(name, str):
                yield name
