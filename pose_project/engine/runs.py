"""Whole runs: a training into its folder, or the evaluation of given weights."""

import logging
from pathlib import Path

from detectron2.utils import comm
from omegaconf import DictConfig

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine.checks import check_evaluation
from pose_project.engine.run_folder import check_run_folder, open_run_folder
from pose_project.engine.trainer import PoseTrainer
from pose_project.evaluation.model_categories import load_categories
from pose_project.modeling.build import resolve_device
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

Results = dict[str, dict[str, float]]


def train(cfg: DictConfig, resume: bool) -> Results | None:
    """Train; the output folder is touched only once everything has been found to fit.

    Args:
        cfg: the whole config; the run's folder is ``train.output_dir``.
        resume: go on in a folder that holds a run.

    Returns:
        The last evaluation's results, None if there was none.

    Raises:
        PoseError: if something does not fit, or the training cannot go on.
    """
    check_run_folder(Path(cfg.train.output_dir), resume)
    comm.synchronize()  # no process creates the folder before all have looked at it
    trainer = PoseTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.probe()
    open_run_folder(cfg)
    results = trainer.train()
    logger.info("Everything of this run is in %s", cfg.train.output_dir)
    return results


def evaluate(cfg: DictConfig) -> Results:
    """Return the results of ``train.init_checkpoint`` on ``dataloader.test``.

    Raises:
        InputError: if there are no weights, or they do not fit the model or the dataset.
    """
    if not cfg.train.init_checkpoint:
        raise InputError("no weights to evaluate: --weights FILE or train.init_checkpoint=FILE")
    cfg.train.device = resolve_device(cfg.train.device)
    model = PoseTrainer.build_model(cfg)
    categories = load_categories(cfg, cfg.train.init_checkpoint)
    loader, evaluator = check_evaluation(cfg, model, categories)
    PoseCheckpointer(model).load(cfg.train.init_checkpoint, checkpointables=[], complete=True)
    return PoseTrainer.test(cfg, model, evaluator, loader)
