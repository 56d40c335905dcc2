"""Evaluation of boxes and keypoints against Detectron2's evaluator."""

import contextlib
import io
import logging
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator, coco_evaluation
from detectron2.structures import Instances
from pycocotools.cocoeval import COCOeval

from benchmarks.compare import Comparison, Difference, compare
from benchmarks.detections import make_predictions, write_ground_truth
from pose_project.data import get_dataset_dicts, register_keypoint_dataset
from pose_project.evaluation import PoseEvaluator

PHOTOS = (625, 1250, 2500, 5000)
_DETECTIONS_PER_PHOTO = 13  # 65,000 of 5,000 photos
_SECONDS = 20.0  # of pairs of runs for each evaluator and number of photos
_DATASET = "benchmark_evaluation"
_PEERS = {"pycocotools through detectron2": False, "detectron2's compiled evaluator": True}

Predictions = list[tuple[dict[str, int], Instances]]


def measure_evaluation(peer: str, device: torch.device) -> Iterator[Comparison]:
    """Yield one comparison for each evaluator of Detectron2 and each number of photos.

    Timed is everything from the model's predictions and the JSON file to the numbers: making the
    evaluator, conversion to COCO's format, matching and summary of both tasks.

    Args:
        peer: ``detectron2``.
        device: where the predictions are when they are handed over.
    """
    assert peer == "detectron2"
    for num_photos in PHOTOS:
        with _dataset(num_photos) as json_file:
            predictions = make_predictions(json_file, _DETECTIONS_PER_PHOTO * num_photos)
            predictions = [(given, each.to(device)) for given, each in predictions]
            for name, is_fast in _PEERS.items():
                if is_fast and not _has_compiled_evaluator():
                    continue
                yield compare(
                    "bbox and keypoints",
                    name,
                    {"photos": num_photos, "detections": _DETECTIONS_PER_PHOTO * num_photos},
                    partial(_evaluate, partial(PoseEvaluator, _DATASET), predictions),
                    partial(_evaluate, partial(_stock_evaluator, is_fast), predictions),
                    _difference,
                    device,
                    seconds=_SECONDS,
                )


@contextlib.contextmanager
def _dataset(num_photos: int) -> Iterator[Path]:
    """Register ground truth under a name while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        json_file = Path(folder) / "ground_truth.json"
        write_ground_truth(json_file, num_photos)
        register_keypoint_dataset(_DATASET, json_file, folder)
        try:
            get_dataset_dicts(_DATASET)  # Detectron2 learns the categories' numbers from this
            yield json_file
        finally:
            DatasetCatalog.remove(_DATASET)
            MetadataCatalog.remove(_DATASET)


def _stock_evaluator(is_fast: bool) -> COCOEvaluator:
    return COCOEvaluator(_DATASET, distributed=False, use_fast_impl=is_fast)


def _evaluate(
    make_evaluator: Callable[[], DatasetEvaluator], predictions: Predictions
) -> dict[str, dict[str, float]]:
    evaluator = make_evaluator()
    evaluator.reset()
    with contextlib.redirect_stdout(io.StringIO()), _quiet():
        for given, instances in predictions:
            own = Instances(instances.image_size, **instances.get_fields())
            own.pred_keypoints = own.pred_keypoints.clone()  # the stock evaluator changes it
            evaluator.process([given], [{"instances": own}])
        return evaluator.evaluate()


def _difference(
    ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]
) -> list[Difference]:
    """Compare every number that both have, in percent."""
    differences = []
    for task, metrics in theirs.items():
        values = [_distance(ours[task][name], value) for name, value in metrics.items()]
        differences.append(Difference(f"{task}, percent", max(values), 1e-6))
    return differences


def _distance(ours: float, theirs: float) -> float:
    return 0.0 if math.isnan(ours) and math.isnan(theirs) else abs(ours - theirs)


def _has_compiled_evaluator() -> bool:
    """Return whether Detectron2 was built with its operators; else it falls back to pycocotools."""
    return coco_evaluation.COCOeval_opt is not COCOeval


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Do not log a table for each run."""
    loggers = [logging.getLogger(name) for name in ("detectron2.evaluation", "pose_project")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
