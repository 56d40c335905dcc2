"""Train or evaluate a Keypoint R-CNN.

    python tools/train_net.py --config-file configs/quick/synthetic.py train.output_dir=output/demo
    python tools/train_net.py --config-file F --resume ...
    python tools/train_net.py --config-file F --eval-only train.init_checkpoint=WEIGHTS ...
    python tools/train_net.py --config-file F --num-gpus 8 ...
    torchrun --nproc-per-node 8 --max-restarts 3 tools/train_net.py --config-file F ...

Exit codes: 0 done; 2 wrong input or a loss that is not finite, in one line; 130 after SIGINT and
143 after SIGTERM, a checkpoint saved.
"""

import argparse
import logging
import sys
from pathlib import Path

from detectron2.data import MetadataCatalog
from detectron2.engine import default_argument_parser
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.engine.checks import check_evaluation, check_train_settings
from pose_project.engine.launch import launch, resolve_device, was_restarted
from pose_project.engine.run_folder import LOGGERS, check_run_folder, open_run_folder
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError, PoseError

logger = logging.getLogger("pose_project")


def get_parser() -> argparse.ArgumentParser:
    """Return Detectron2's parser with ``--debug`` added."""
    parser = default_argument_parser(epilog=__doc__)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Run one process of a training or an evaluation."""
    for name in LOGGERS:
        setup_logger(distributed_rank=comm.get_rank(), name=name)
    cfg = load_config(arguments.config_file, arguments.opts)
    if arguments.eval_only:
        evaluate(cfg)
    else:
        train(cfg, arguments)


def train(cfg: DictConfig, arguments: argparse.Namespace) -> None:
    """Train; the output folder is touched only once everything has been found to fit."""
    resume = arguments.resume or was_restarted()
    check_run_folder(Path(cfg.train.output_dir), resume)
    comm.synchronize()  # no process creates the folder before all have looked at it
    trainer = PoseTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.probe()
    open_run_folder(cfg)
    explain(cfg, trainer.train())
    logger.info("Everything of this run is in %s", cfg.train.output_dir)


def evaluate(cfg: DictConfig) -> None:
    """Score ``train.init_checkpoint`` on ``dataloader.test``."""
    if not cfg.train.init_checkpoint:
        raise InputError("--eval-only needs weights: train.init_checkpoint=FILE")
    check_train_settings(cfg.train)
    cfg.train.device = resolve_device(cfg.train.device)
    model = PoseTrainer.build_model(cfg)
    loader, evaluator = check_evaluation(cfg, model)
    PoseCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[], complete=True)
    explain(cfg, PoseTrainer.test(cfg, model, evaluator, loader))


def explain(cfg: DictConfig, results: dict[str, dict[str, float]] | None) -> None:
    """Write the report of the last evaluation, as ``tools/analyze.py`` does, if it is asked for."""
    if not cfg.train.report or not comm.is_main_process() or "keypoints" not in (results or {}):
        return
    # here, since a run that has just begun needs none of it
    from pose_project.extras.report import analyse, write_report

    dataset = MetadataCatalog.get(cfg.dataloader.test.dataset.names)
    output_dir = Path(cfg.train.output_dir)
    try:
        found = output_dir / "inference" / "coco_instances_results.json"
        report = analyse(Path(dataset.json_file), found, images=Path(dataset.image_root))
        write_report(report, output_dir / "report")
    except (PoseError, OSError) as error:  # the run itself is complete
        logger.warning("No report: %s", error)
    else:
        logger.info("What is wrong with which keypoints: %s", output_dir / "report" / "report.html")


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, launch the processes, return the exit code."""
    arguments = get_parser().parse_args(argv)

    def start() -> None:
        if not arguments.config_file:
            raise InputError("no config: --config-file FILE, such as configs/quick/synthetic.py")
        launch(run, arguments)

    return run_tool(start, arguments.debug)


if __name__ == "__main__":
    sys.exit(main())
