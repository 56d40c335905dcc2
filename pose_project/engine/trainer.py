"""Training from a LazyConfig through Detectron2's ``DefaultTrainer``."""

import copy
import logging
import math
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from detectron2.config import get_cfg, instantiate
from detectron2.engine import DefaultTrainer, HookBase, TrainerBase, hooks
from detectron2.evaluation import inference_on_dataset
from detectron2.solver import LRMultiplier
from detectron2.utils import comm
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from tqdm import tqdm

from pose_project.checkpoint import PoseCheckpointer
from pose_project.data import get_schema
from pose_project.data.loader import TrainLoader, seed_everything
from pose_project.engine.hooks import Checkpoints, Evaluation, MetricsWriter, Progress, StopOnSignal
from pose_project.engine.hooks.drawing import draw_predictions
from pose_project.engine.train_step import TrainStep
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)


class PoseTrainer(DefaultTrainer):
    """``DefaultTrainer`` for a LazyConfig: the same loop, hooks and extension points.

    Inherited as they are: ``train``'s loop, hook registration, ``run_step``, and every ``build_*``
    as a point to override. Replaced is what Detectron2's constructor fixes: the train step
    (autocast on any device), the data iterator (made after the position is known), the arguments
    of DistributedDataParallel, the checkpointer, the list of hooks with their periods; and the
    state dict, in which release 0.6 forgets the optimizer. ``self.cfg`` is the small yacs config
    that inherited code reads; ``self.lazy_cfg`` is the whole one.

    Args:
        cfg: LazyConfig with ``model optimizer lr_multiplier dataloader train``. Of ``train`` it
            reads ``output_dir init_checkpoint epochs max_iter amp clip_grad_norm checkpointer
            checkpoint_epochs eval_period eval_epochs log_period best_metric visualizations device
            channels_last ddp seed``.

    Raises:
        InputError: if data, model and settings do not fit each other; nothing is written.
    """

    def __init__(self, cfg: DictConfig) -> None:
        super(DefaultTrainer, self).__init__()
        self.lazy_cfg = cfg
        train = cfg.train
        train.device = resolve_device(train.device)
        seed_everything(train.seed)
        data_loader = self.build_train_loader(cfg)
        self.start_iter = 0
        self.max_iter = _resolve_max_iter(train, data_loader)
        self.cfg = _bridge_config(cfg, self.max_iter)
        model = self.build_model(cfg)
        check_keypoints(model, cfg.dataloader.train.dataset.names)
        check_keypoints(model, cfg.dataloader.test.dataset.names)
        optimizer = self.build_optimizer(cfg, model)
        self._trainer = TrainStep(
            _distribute(model, train.device, train.ddp),
            data_loader,
            optimizer,
            device=train.device,
            seed=train.seed,
            amp_dtype=train.amp.dtype if train.amp.enabled else None,
            clip_grad_norm=train.clip_grad_norm,
        )
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = PoseCheckpointer(model, train.output_dir, trainer=weakref.proxy(self))
        self.register_hooks(self.build_hooks())

    def resume_or_load(self, resume: bool = True) -> None:
        """Continue from the last intact checkpoint of the output folder, or load initial weights.

        Args:
            resume: continue if there is a checkpoint; without one, start from the beginning.
        """
        last = self.checkpointer.newest_intact() if resume else None
        if last is not None:
            self.checkpointer.load(str(last), complete=True)
            self.start_iter = self.iter + 1
            logger.info("Resuming from %s at iteration %d", last, self.start_iter)
        else:
            self.checkpointer.load(self.lazy_cfg.train.init_checkpoint, checkpointables=[])
        self.data_loader.start_at(self.start_iter)

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
            self._last_eval_results = self.test(self.lazy_cfg, self.model)
        else:
            super().train()
        self._draw()
        return self._last_eval_results

    def build_hooks(self) -> list[HookBase | None]:
        """Return the hooks in the order they run: an iteration's checkpoint is its last act."""
        train, loader = self.lazy_cfg.train, self.data_loader
        per_epoch = loader.iterations_per_epoch

        def evaluate() -> dict[str, dict[str, float]]:
            self._last_eval_results = self.test(self.lazy_cfg, self.model)
            return self._last_eval_results

        main = comm.is_main_process()
        return [
            hooks.IterationTimer(),
            hooks.LRScheduler(),
            Progress(train.log_period, per_epoch, loader.total_batch_size) if main else None,
            Evaluation(
                evaluate,
                _period(train.eval_period, train.eval_epochs, per_epoch),
                self.checkpointer,
                train.best_metric,
            ),
            MetricsWriter(Path(train.output_dir), train.log_period) if main else None,
            Checkpoints(
                self.checkpointer,
                _period(train.checkpointer.period, train.checkpoint_epochs, per_epoch),
                train.checkpointer.max_to_keep,
                self.describe,
            ),
            StopOnSignal(self.checkpointer),
        ]

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
            "metrics": getattr(self, "_last_eval_results", None),
            "config": _plain_config(self.lazy_cfg),
        }

    @classmethod
    def build_model(cls, cfg: DictConfig) -> nn.Module:
        """Return ``cfg.model`` on its device."""
        model = instantiate(cfg.model).to(cfg.train.device)
        return model.to(memory_format=torch.channels_last) if cfg.train.channels_last else model

    @classmethod
    def build_optimizer(cls, cfg: DictConfig, model: nn.Module) -> Optimizer:
        """Return ``cfg.optimizer`` over the parameters of ``model``."""
        node = copy.deepcopy(cfg.optimizer)
        node.params.model = model
        return instantiate(node)

    def build_lr_scheduler(self, cfg: DictConfig, optimizer: Optimizer) -> LRMultiplier:
        """Return ``cfg.lr_multiplier`` over the iterations of this run."""
        schedule = instantiate(cfg.lr_multiplier)
        multiplier = schedule.build(self.max_iter, self.data_loader.iterations_per_epoch)
        return LRMultiplier(optimizer, multiplier, self.max_iter)

    @classmethod
    def build_train_loader(cls, cfg: DictConfig) -> TrainLoader:
        """Return ``cfg.dataloader.train``."""
        return instantiate(cfg.dataloader.train)

    @classmethod
    def test(
        cls, cfg: DictConfig, model: nn.Module, evaluators: Any = None
    ) -> dict[str, dict[str, float]]:
        """Evaluate a model on ``cfg.dataloader.test``, in float32.

        Args:
            cfg: LazyConfig.
            model: with its weights; in training or evaluation mode, which is kept.
            evaluators: instead of ``cfg.dataloader.evaluator``.

        Returns:
            {task: {metric: percent}} in the main process.
        """
        loader = instantiate(cfg.dataloader.test)
        evaluator = instantiate(cfg.dataloader.evaluator) if evaluators is None else evaluators
        shown = sys.stderr.isatty() and comm.is_main_process()
        with _cudnn_autotune_off():
            return inference_on_dataset(
                model, tqdm(loader, "evaluation", disable=not shown, leave=False), evaluator
            )

    def _draw(self) -> None:
        train, test = self.lazy_cfg.train, self.lazy_cfg.dataloader.test
        if train.visualizations > 0 and comm.is_main_process():
            draw_predictions(
                self.checkpointer.model,
                instantiate(test.mapper),
                test.dataset.names,
                Path(train.output_dir) / "visualizations",
                train.visualizations,
            )


def resolve_device(device: str) -> str:
    """Return ``device``, or ``"cpu"`` with one line saying so where there is no GPU."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        logger.info("No CUDA device here: running on the CPU.")
        return "cpu"
    return device


def check_keypoints(model: nn.Module, dataset_names: str | list[str]) -> None:
    """Raise ``InputError`` if a model's head and a dataset differ in their keypoints."""
    head = getattr(getattr(model, "roi_heads", None), "keypoint_head", None)
    if head is None:
        return
    schema = get_schema(dataset_names)
    if head.num_keypoints != schema.num_keypoints:
        raise InputError(
            f"the head predicts {head.num_keypoints} keypoints, {dataset_names} has "
            f"{schema.num_keypoints}, and there are {len(schema.oks_sigmas)} OKS sigmas; set "
            f"model.roi_heads.keypoint_head.num_keypoints={schema.num_keypoints}"
        )


def _resolve_max_iter(train: DictConfig, loader: TrainLoader) -> int:
    max_iter = train.max_iter
    if max_iter is None:
        max_iter = round(train.epochs * loader.iterations_per_epoch)
    if max_iter < 1:
        raise InputError(f"nothing to train: epochs={train.epochs}, max_iter={train.max_iter}")
    return max_iter


def _period(iterations: int, epochs: float | None, iterations_per_epoch: int) -> int:
    return iterations if epochs is None else math.ceil(epochs * iterations_per_epoch)


def _bridge_config(cfg: DictConfig, max_iter: int) -> Any:
    """Return the yacs keys that inherited methods of ``DefaultTrainer`` read."""
    bridge = get_cfg()
    bridge.OUTPUT_DIR = cfg.train.output_dir
    bridge.MODEL.WEIGHTS = cfg.train.init_checkpoint
    bridge.MODEL.DEVICE = cfg.train.device
    bridge.SOLVER.MAX_ITER = max_iter
    bridge.SEED = cfg.train.seed
    return bridge


def _distribute(model: nn.Module, device: str, ddp: DictConfig) -> nn.Module:
    # Detectron2's create_ddp_model of 0.6 names a GPU even where there is none.
    if comm.get_world_size() == 1:
        return model
    on_gpu = torch.device(device).type == "cuda"
    device_ids = [torch.cuda.current_device()] if on_gpu else None
    return DistributedDataParallel(model, device_ids=device_ids, **ddp)


def _plain_config(cfg: DictConfig) -> Any:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        if callable(value):
            return f"{value.__module__}.{value.__qualname__}"
        return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)

    return plain(OmegaConf.to_container(cfg, resolve=False))


@contextmanager
def _cudnn_autotune_off() -> Iterator[None]:
    # Every photo has another shape in evaluation; autotuning each costs more than it gains.
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
