"""What each switch of ``train.inference.test_time`` gains in AP, and what it costs in time."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.config import instantiate
from omegaconf import DictConfig
from torch import nn
from tqdm import tqdm

from benchmarks.accuracy import load_model
from pose_project.data import get_schema
from pose_project.evaluation import PoseEvaluator
from pose_project.modeling.acceleration import inference_model

_CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("none", {}),
    ("flip=True", {"flip": True}),
    ("scales=[0.75,1.25]", {"scales": [0.75, 1.25]}),
    ("flip=True scales=[1.3]", {"flip": True, "scales": [1.3]}),
    ("subpixel=True", {"subpixel": True}),
    ("rescore=True", {"rescore": True}),
    ("oks_nms=0.9", {"oks_nms": 0.9}),
    ("temperature=1.0", {"temperature": 1.0}),
    (
        "flip=True subpixel=True rescore=True",
        {"flip": True, "subpixel": True, "rescore": True},
    ),
)


class Measured(NamedTuple):
    """One row of the table."""

    switches: str
    keypoint_ap: float
    keypoint_ar: float
    box_ap: float
    milliseconds: float
    """Median over the photos, one at a time."""


def measure_test_time(cfg: DictConfig, device: torch.device) -> Iterator[Measured]:
    """Yield AP and time with each switch, on all photos of the test dataset.

    Photos take their turns with all the switches, so that what slows the machine down slows all of
    them.

    Args:
        cfg: a training config with ``train.init_checkpoint``.
        device: where the model runs.
    """
    name = cfg.dataloader.test.dataset.names
    model, schema = load_model(cfg, device), get_schema(name)
    models, evaluators = {}, {}
    for switches, test_time in _CASES:
        settings = {**cfg.train.inference, "test_time": test_time}
        models[switches] = inference_model(model, settings, schema)
        evaluators[switches] = PoseEvaluator(name)
        evaluators[switches].reset()
    seconds = {switches: [] for switches in models}
    loader = instantiate(cfg.dataloader.test)
    for batch in tqdm(loader, "photos", leave=False):
        for switches, each in models.items():
            start = time.perf_counter()
            output = _on_cpu(each, batch)
            seconds[switches].append((time.perf_counter() - start) / len(batch))
            evaluators[switches].process(batch, output)
    for switches, evaluator in evaluators.items():
        scores = evaluator.evaluate()
        yield Measured(
            switches,
            scores["keypoints"]["AP"],
            scores["keypoints"]["AR"],
            scores["bbox"]["AP"],
            1e3 * float(np.median(seconds[switches])),
        )


def _on_cpu(model: nn.Module, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a batch's predictions on the CPU; this waits for a GPU."""
    with torch.no_grad():
        return [{"instances": each["instances"].to("cpu")} for each in model(batch)]
