"""Train a Keypoint R-CNN, or evaluate one.

    pose-project train --config-file configs/quick/synthetic.py train.output_dir=output/demo
    pose-project train --config-file F --resume ...
    pose-project train --model NAME custom.train_json=T.json custom.val_json=V.json \
        custom.image_root=PHOTOS train.output_dir=DIR       a published model, or DIR of a run
    pose-project train --config-file F --eval-only train.init_checkpoint=WEIGHTS ...
    pose-project train --config-file F --num-gpus 8 ...
    torchrun --nproc-per-node 8 --max-restarts 3 -m pose_project train --config-file F ...

Exit codes: 0 done; 2 wrong input or a loss that is not finite, in one line; 130 after SIGINT and
143 after SIGTERM, a checkpoint saved.
"""

import argparse
import logging
import os
from typing import TYPE_CHECKING

from pose_project.commands.options import (
    add_device_option,
    add_overrides,
    model_zoo,
    read_config,
)
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra

if TYPE_CHECKING:
    from omegaconf import DictConfig

logger = logging.getLogger(__name__)

_FIRST_PRIVATE_PORT = 49152  # RFC 6335, section 6; up to 65535


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of Detectron2's training scripts, with its names and defaults."""
    add_job_options(parser)
    parser.add_argument("--resume", action="store_true", help="go on in train.output_dir")
    parser.add_argument("--eval-only", action="store_true", help="as the command evaluate")


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the config, weights, and the processes and machines that a job has."""
    # not required by the parser: what is missing is said in one line
    parser.add_argument("--config-file", default="", metavar="FILE", help="a training config")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="start from, or score, what the command models lists or the folder of a run",
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="a checkpoint (default: train.init_checkpoint)"
    )
    add_device_option(parser)
    parser.add_argument("--num-gpus", type=int, default=1, help="of each machine (default: 1)")
    parser.add_argument("--num-machines", type=int, default=1, help="default: 1")
    parser.add_argument(
        "--machine-rank", type=int, default=0, help="of this machine, from 0 (default: 0)"
    )
    # a port of the user's own, so that two users of a machine do not meet, and always the same:
    # processes that were left behind show
    user = os.getuid() if hasattr(os, "getuid") else 1  # Windows has none
    port = _FIRST_PRIVATE_PORT + user % (65536 - _FIRST_PRIVATE_PORT)
    parser.add_argument(
        "--dist-url",
        default=f"tcp://127.0.0.1:{port}",
        metavar="URL",
        help="where the processes meet, see init_process_group of torch.distributed "
        "(default: %(default)s)",
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train or evaluate in all processes of the job."""
    # late, since --help is answered without PyTorch
    from pose_project.engine.launch import launch

    locate(arguments)
    launch(run_process, arguments)


def locate(arguments: argparse.Namespace) -> None:
    """Find the named model, once for all processes, and set ``weights`` and ``config_file``.

    ``fine_tuned`` becomes the model's files where a training has no config of its own.

    Raises:
        InputError: if there is no such model, or neither model nor config.
    """
    arguments.fine_tuned = None
    if not arguments.model:
        if not arguments.config_file:
            raise InputError(
                "no config: --config-file FILE, such as configs/quick/synthetic.py; or --model NAME"
            )
        return
    if arguments.weights:
        raise InputError("--model has weights of its own: leave out --weights")
    files = model_zoo().locate_model(arguments.model)
    arguments.weights = files.weights
    if arguments.config_file:
        return
    arguments.config_file = files.config_file
    if not arguments.eval_only:
        arguments.fine_tuned = files


def config_of(arguments: argparse.Namespace) -> "DictConfig":
    """Return the config of the job that was asked for."""
    if arguments.fine_tuned is None:
        cfg = read_config(arguments)
    else:
        cfg = find_extra("model_zoo.fine_tuning").fine_tuning_config(
            arguments.fine_tuned, arguments.opts
        )
        cfg.train.device = arguments.device or cfg.train.device
    if arguments.weights:
        cfg.train.init_checkpoint = arguments.weights
    return cfg


def run_process(arguments: argparse.Namespace) -> None:
    """Run one process of a training or an evaluation."""
    from detectron2.utils import comm
    from detectron2.utils.logger import setup_logger

    from pose_project.engine.launch import was_restarted
    from pose_project.engine.run_folder import LOGGERS
    from pose_project.engine.runs import evaluate, train

    for name in LOGGERS:
        setup_logger(distributed_rank=comm.get_rank(), name=name)
    cfg = config_of(arguments)
    if arguments.eval_only:
        results = evaluate(cfg)
    else:
        if doctor := find_extra("doctor.before_training"):
            doctor.log_dataset_findings(cfg)
        results = train(cfg, arguments.resume or was_restarted())
    if cfg.train.report:
        if report := find_extra("report.run_report"):
            report.explain(cfg, results)
        else:
            logger.warning("No report: pose_project/extras/report is not here")
