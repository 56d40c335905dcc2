"""What a run's folder holds beside checkpoints: log, config, environment and command."""

import json
import logging
from pathlib import Path

from detectron2.config import LazyConfig
from detectron2.utils import comm
from detectron2.utils.collect_env import collect_env_info
from omegaconf import DictConfig

from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance

LOGGERS = ("pose_project", "detectron2", "fvcore")


def check_run_folder(output_dir: Path, resume: bool) -> None:
    """Raise ``InputError`` if a new run would mix with what is in the folder already."""
    if not resume and output_dir.is_dir() and any(output_dir.iterdir()):
        raise InputError(
            f"{output_dir} already holds a run; continue it with --resume or choose another "
            "train.output_dir"
        )


def open_run_folder(cfg: DictConfig) -> None:
    """Create ``cfg.train.output_dir`` and write how the run was started.

    ``log.txt`` (one per process) gets every line logged from now on; ``config.yaml`` the config
    with its overrides; ``environment.json`` commit, versions, device and command.
    """
    output_dir = Path(cfg.train.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    rank = comm.get_rank()
    log_file = output_dir / ("log.txt" if rank == 0 else f"log.txt.rank{rank}")
    handler = logging.FileHandler(log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    if comm.is_main_process():
        for leftover in output_dir.glob(".*.tmp"):  # of a write that was killed
            leftover.unlink()
        LazyConfig.save(cfg, str(output_dir / "config.yaml"))
        record = {**collect_provenance(), "details": collect_env_info().splitlines()}
        write_text_atomic(output_dir / "environment.json", json.dumps(record, indent=2) + "\n")
