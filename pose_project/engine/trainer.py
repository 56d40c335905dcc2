"""Training from a LazyConfig through Detectron2's ``DefaultTrainer``."""

import logging
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig, get_cfg, instantiate
from detectron2.engine import DefaultTrainer, HookBase, TrainerBase
from detectron2.evaluation import inference_on_dataset
from detectron2.solver import LRMultiplier
from detectron2.utils import comm
from fvcore.common.history_buffer import HistoryBuffer
from omegaconf import DictConfig
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from tqdm import tqdm

from pose_project.checkpoint import PoseCheckpointer
from pose_project.config.building import build, plain_config
from pose_project.config.settings import read_settings
from pose_project.config.train_settings import TrainSettings
from pose_project.data import get_categories, get_schema
from pose_project.data.annotation_files import release_annotations
from pose_project.data.loader import TrainLoader, seed_everything
from pose_project.engine.checks import (
    check_evaluation,
    check_fit,
    check_proposals,
)
from pose_project.engine.default_hooks import default_hooks, evaluation_period
from pose_project.engine.hooks.saving import is_due
from pose_project.engine.launch import distribute, synchronise_buffers
from pose_project.engine.optimizer import build_optimizer
from pose_project.engine.train_step import TrainStep
from pose_project.modeling.acceleration import inference_dtype, inference_model
from pose_project.modeling.build import build_model, resolve_device
from pose_project.utils.errors import EarlyStop, InputError, NonFiniteLossError
from pose_project.utils.extras import find_extra, need_extra

logger = logging.getLogger(__name__)

_HISTORY = 1000  # iterations; TensorBoard's medians need 20


class PoseTrainer(DefaultTrainer):
    """``DefaultTrainer`` for a LazyConfig: the same loop, hooks and extension points.

    Inherited as they are: ``train``'s loop, hook registration, ``run_step``, and every ``build_*``
    as a point to override. Replaced is what Detectron2's constructor fixes: the train step
    (autocast on any device), the data iterator (made after the position is known), the arguments
    of DistributedDataParallel, the checkpointer, the list of hooks with their periods; and the
    state dict, in which release 0.6 forgets the optimizer. ``self.cfg`` is the small yacs config
    that inherited code reads; ``self.lazy_cfg`` is the whole one.

    Args:
        cfg: LazyConfig with ``model optimizer lr_multiplier dataloader train``; all keys of
            ``configs/common/train.py`` are read.

    Raises:
        InputError: if data, model and settings do not fit each other; nothing is written.
    """

    def __init__(self, cfg: DictConfig) -> None:
        super(DefaultTrainer, self).__init__()
        self.lazy_cfg = cfg
        train = cfg.train
        read_settings(TrainSettings, train, "train")
        train.device = resolve_device(train.device)
        inference_dtype(train.inference.dtype, train.device)
        seed_everything(train.seed)
        data_loader = self.build_train_loader(cfg)
        self.start_iter = 0
        self.max_iter = _resolve_max_iter(train, data_loader)
        self.cfg = _bridge_config(cfg, self.max_iter)
        model = self.build_model(cfg)
        check_fit(model, cfg.dataloader.train.dataset.names)
        check_proposals(cfg, model, "train")
        self.categories = get_categories(cfg.dataloader.train.dataset.names)
        self._test_loader, self._evaluator = check_evaluation(cfg, model, self.categories)
        if train.validation_loss:
            losses = need_extra("training_hooks.validation_loss", "train.validation_loss needs")
            losses.check_same_classes(self.categories, cfg.dataloader.test.dataset.names)
        release_annotations()
        optimizer = self.build_optimizer(cfg, model)
        self._trainer = TrainStep(
            distribute(model, train.device, train.ddp),
            data_loader,
            optimizer,
            device=train.device,
            seed=train.seed,
            amp_dtype=train.amp.dtype if train.amp.enabled else None,
            clip_grad_norm=train.clip_grad_norm,
            accumulate=train.accumulate,
            max_skipped_steps=train.max_skipped_steps,
            reports=self._reports,
        )
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = PoseCheckpointer(model, train.output_dir, trainer=weakref.proxy(self))
        self.last_results: dict[str, dict[str, float]] | None = None
        self.register_hooks(self.build_hooks())

    def resume_or_load(self, resume: bool = True) -> None:
        """Continue from the last intact checkpoint of the output folder, or load initial weights.

        Args:
            resume: continue if there is a checkpoint; without one, start from the beginning.

        Raises:
            InputError: if the weights do not fit, or the run has done more iterations already than
                it is to have.
        """
        last = self.checkpointer.newest_intact() if resume else None
        if last is not None:
            configured = [
                {key: value for key, value in group.items() if key != "params"}
                for group in self.optimizer.param_groups
            ]
            self.checkpointer.load(str(last), complete=True)
            self._apply_settings(configured)
            self.start_iter = self.iter + 1
            self._check_length(last)
            logger.info("Resuming from %s at iteration %d", last, self.start_iter)
        else:
            self.checkpointer.load(self.lazy_cfg.train.init_checkpoint, checkpointables=[])
        self.data_loader.start_at(self.start_iter)

    def _check_length(self, last: Path) -> None:
        if self.start_iter > self.max_iter:
            train = self.lazy_cfg.train
            key = "epochs" if train.max_iter is None else "max_iter"
            raise InputError(
                f"{last} has done {self.start_iter} iterations, more than train.{key}={train[key]} "
                "asks for; set more, or train anew in another train.output_dir"
            )

    def _apply_settings(self, configured: list[dict[str, Any]]) -> None:
        """Let the config, not the checkpoint, decide about learning rate, decay and momentum."""
        groups = self.optimizer.param_groups
        for group, settings in zip(groups, configured, strict=True):
            group.update(settings)
        self.scheduler.base_lrs = [group["initial_lr"] for group in groups]
        for group, rate in zip(groups, self.scheduler.get_lr(), strict=True):
            group["lr"] = rate

    def probe(self) -> None:
        """Load a batch and throw it away, so that wrong data shows before anything is written."""
        self.data_loader.probe()

    def train(self) -> dict[str, dict[str, float]] | None:
        """Train from ``start_iter`` to ``max_iter``; return the last evaluation's results."""
        per_epoch = self.data_loader.iterations_per_epoch
        logger.info(
            f"{self.data_loader.num_photos} photos, batches of {self.data_loader.total_batch_size}"
            f": {per_epoch} iterations per epoch; training iterations {self.start_iter} to "
            f"{self.max_iter} ({self.max_iter / per_epoch:.2f} epochs) on "
            f"{self.lazy_cfg.train.device}"
        )
        if self.start_iter >= self.max_iter:
            logger.info("This run is complete; evaluating it once more.")
            self.evaluate()
            if not (Path(self.lazy_cfg.train.output_dir) / "model_final.pth").exists():
                # its last evaluation had failed
                self.checkpointer.save(
                    "model_final", iteration=self.iter, provenance=self.describe()
                )
        else:
            try:
                super().train()
            except EarlyStop as stop:
                logger.info(str(stop))
        self._draw()
        return self.last_results

    def build_hooks(self) -> list[HookBase]:
        """Return the hooks of a run; see ``default_hooks``."""
        return default_hooks(
            self.lazy_cfg, self.data_loader, self.checkpointer, self.evaluate, self.describe
        )

    def evaluate(self, averaged: nn.Module | None = None) -> dict[str, dict[str, float]]:
        """Return the results of the model as it is now, and keep them as ``last_results``.

        Args:
            averaged: the average of its weights; its tasks are named ``ema/<task>``.
        """
        synchronise_buffers(self.checkpointer.model)
        parts = {"evaluators": self._evaluator, "loader": self._test_loader}
        results = {}
        if averaged is not None:
            of_average = self.test(self.lazy_cfg, averaged, **parts)
            results = {f"ema/{task}": metrics for task, metrics in of_average.items()}
        self.last_results = self.test(self.lazy_cfg, self.model, **parts) | results
        return self.last_results

    def before_train(self) -> None:
        """Keep the metrics of the last iterations in memory, where Detectron2 keeps all of them."""
        self.storage.histories().default_factory = partial(HistoryBuffer, max_length=_HISTORY)
        super().before_train()

    def run_step(self) -> None:
        """Take one step; if its loss is not finite, leave a folder that shows it again."""
        try:
            super().run_step()
        except NonFiniteLossError as error:
            again = self._dump(error.iteration)
            raise NonFiniteLossError(f"{error}. See it again: {again}", error.iteration) from error

    def state_dict(self) -> dict[str, Any]:
        """Return the state of loop and hooks, and of the step, which release 0.6 leaves out."""
        return {**TrainerBase.state_dict(self), "_trainer": self._trainer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        TrainerBase.load_state_dict(self, state_dict)
        self._trainer.load_state_dict(state_dict["_trainer"])

    def describe(self) -> dict[str, Any]:
        """Return what the JSON beside a checkpoint says about the run."""
        return {
            "iteration": self.iter,
            "epoch": (self.iter + 1) / self.data_loader.iterations_per_epoch,
            "metrics": self.last_results,
            "categories": self.categories,
            "config": plain_config(self.lazy_cfg),
        }

    @classmethod
    def build_model(cls, cfg: DictConfig) -> nn.Module:
        """Return ``cfg.model`` on its device."""
        return build_model(cfg)

    @classmethod
    def build_optimizer(cls, cfg: DictConfig, model: nn.Module) -> Optimizer:
        """Return ``cfg.optimizer`` over the parameters of ``model``; see ``build_optimizer``."""
        return build_optimizer(cfg, model)

    def build_lr_scheduler(self, cfg: DictConfig, optimizer: Optimizer) -> LRMultiplier:
        """Return ``cfg.lr_multiplier`` over the iterations of this run."""
        schedule = build(cfg, "lr_multiplier")
        multiplier = schedule.build(self.max_iter, self.data_loader.iterations_per_epoch)
        return LRMultiplier(optimizer, multiplier, self.max_iter)

    @classmethod
    def build_train_loader(cls, cfg: DictConfig) -> TrainLoader:
        """Return ``cfg.dataloader.train``."""
        return build(cfg, "dataloader.train")

    @classmethod
    def test(
        cls, cfg: DictConfig, model: nn.Module, evaluators: Any = None, loader: Any = None
    ) -> dict[str, dict[str, float]]:
        """Evaluate a model on ``cfg.dataloader.test``, as ``cfg.train.inference`` says.

        Args:
            cfg: LazyConfig.
            model: with its weights; not changed.
            evaluators: instead of ``cfg.dataloader.evaluator``.
            loader: instead of ``cfg.dataloader.test``.

        Returns:
            {task: {metric: percent}} in the main process.
        """
        loader = build(cfg, "dataloader.test") if loader is None else loader
        evaluator = build(cfg, "dataloader.evaluator") if evaluators is None else evaluators
        single = model.module if isinstance(model, DistributedDataParallel) else model
        has_keypoints = getattr(getattr(single, "roi_heads", None), "keypoint_on", False)
        schema = get_schema(cfg.dataloader.test.dataset.names) if has_keypoints else None
        fast = inference_model(single, cfg.train.inference, schema)
        shown = sys.stderr.isatty() and comm.is_main_process()
        return inference_on_dataset(
            fast, tqdm(loader, "evaluation", disable=not shown, leave=False), evaluator
        )

    def _reports(self, iteration: int) -> bool:
        """Return whether something reads the losses of an iteration."""
        train, done = self.lazy_cfg.train, iteration + 1
        period = evaluation_period(train, self.data_loader.iterations_per_epoch)
        return any(is_due(done, each, self.max_iter) for each in (train.log_period, period))

    def _dump(self, iteration: int) -> str:
        """Write a run folder that stands before an iteration; return how to run it.

        Since that iteration no update has been made, but BatchNorm may have seen further images.
        """
        folder = Path(self.lazy_cfg.train.output_dir) / "not_finite"
        before = iteration - 1
        dumper = PoseCheckpointer(self.checkpointer.model, str(folder))
        state = {**self.state_dict(), "iteration": before}
        state["hooks"]["LRScheduler"]["last_epoch"] -= self.iter - iteration
        dumper.save(f"model_{max(before, 0):07d}", iteration=before, trainer=state)
        if comm.is_main_process():
            LazyConfig.save(self.lazy_cfg, str(folder / "config.yaml"))
        return (
            f"python tools/train_net.py --config-file {folder}/config.yaml --resume "
            f"train.output_dir={folder} train.max_skipped_steps=0"
        )

    def _draw(self) -> None:
        train, test = self.lazy_cfg.train, self.lazy_cfg.dataloader.test
        if train.visualizations == 0 or not comm.is_main_process():
            return
        if pictures := find_extra("pictures.after_training"):
            pictures.draw_predictions(
                self.checkpointer.model,
                instantiate(test.mapper),
                instantiate(test.dataset),
                get_schema(test.dataset.names),
                Path(train.output_dir) / "visualizations",
                train.visualizations,
            )


def _resolve_max_iter(train: DictConfig, loader: TrainLoader) -> int:
    max_iter = train.max_iter
    if max_iter is None:
        if train.epochs is None:
            raise InputError("how long to train? Set train.epochs or train.max_iter")
        max_iter = round(train.epochs * loader.iterations_per_epoch)
    if max_iter < 1:
        raise InputError(f"nothing to train: epochs={train.epochs}, max_iter={train.max_iter}")
    return max_iter


def _bridge_config(cfg: DictConfig, max_iter: int) -> Any:
    """Return the yacs keys that inherited methods of ``DefaultTrainer`` read."""
    bridge = get_cfg()
    bridge.OUTPUT_DIR = cfg.train.output_dir
    bridge.MODEL.WEIGHTS = cfg.train.init_checkpoint
    bridge.MODEL.DEVICE = cfg.train.device
    bridge.SOLVER.MAX_ITER = max_iter
    bridge.SEED = cfg.train.seed
    return bridge
