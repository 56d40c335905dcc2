"""An exported model in the programs that run it: the same people, in how long, with which AP."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig

from pose_project.data import get_dataset_dicts
from pose_project.data.image_reading import read_photo
from pose_project.evaluation import PoseEvaluator
from pose_project.extras.export.agreement import Agreement
from pose_project.extras.export.running import OnnxModel, OpenVinoModel
from pose_project.extras.export.verified import export_verified
from pose_project.structures.poses import Poses

NEAR_PX = 0.5


class RuntimeRow(NamedTuple):
    """What one runtime does with all photos.

    Attributes:
        runtime: which, and its precision.
        unmatched: people that only it or only PyTorch found.
        near_percent: points within half a pixel of PyTorch's, of all points that either found.
        keypoint_ap: 0 to 100.
        box_ap: 0 to 100.
        ms: median of a photo, resizing included.
        times_as_fast: PyTorch's time over its own, median over photos.
    """

    runtime: str
    unmatched: int
    near_percent: float
    keypoint_ap: float
    box_ap: float
    ms: float
    times_as_fast: float


def measure_runtimes(cfg: DictConfig, weights: str) -> Iterator[RuntimeRow]:
    """Yield a row for each runtime; all take each photo in turns, on torch's number of threads."""
    with tempfile.TemporaryDirectory() as folder:
        reference, onnx = export_verified(cfg, Path(weights), "onnx", Path(folder))
        path, threads = Path(folder, "model.onnx"), torch.get_num_threads()
        models: dict[str, Callable[[np.ndarray], Poses]] = {
            "PyTorch, float32": reference,
            "ONNX Runtime, float32": onnx,
            "ONNX Runtime, int8 convolutions": OnnxModel(_quantise(path), threads),
            "OpenVINO, float32": OpenVinoModel(path, threads),
            "OpenVINO, bfloat16": OpenVinoModel(path, threads, "bf16"),
        }
        dicts = get_dataset_dicts(cfg.dataloader.test.dataset.names, filter_empty=False)
        found, seconds = _run_in_turns(models, dicts)
    expected, usual = found["PyTorch, float32"], seconds["PyTorch, float32"]
    for name, poses in found.items():
        agreement = Agreement()
        for theirs, ours in zip(expected, poses, strict=True):
            agreement.add(theirs, ours)
        points = agreement.keypoint_px.size + agreement.unmatched * expected[0].keypoints.shape[1]
        metrics = _score(cfg, dicts, poses)
        yield RuntimeRow(
            name,
            agreement.unmatched,
            100 * float((agreement.keypoint_px <= NEAR_PX).sum()) / max(points, 1),
            metrics["keypoints"]["AP"],
            metrics["bbox"]["AP"],
            1e3 * float(np.median(seconds[name])),
            float(np.median(usual / seconds[name])),
        )


def _quantise(path: Path) -> Path:
    """Return a file whose convolutions have weights of 8 bits, and activations as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it advises to fold what is already folded
    file = path.with_name("quantised.onnx")
    # not the products of matrices: those of the resizing have to be exact
    quantize_dynamic(path, file, op_types_to_quantize=["Conv"], weight_type=QuantType.QUInt8)
    return file


def _run_in_turns(
    models: dict[str, Callable[[np.ndarray], Poses]], dicts: list[dict[str, Any]]
) -> tuple[dict[str, list[Poses]], dict[str, np.ndarray]]:
    found: dict[str, list[Poses]] = {name: [] for name in models}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for photo in dicts:
        image = np.ascontiguousarray(read_photo(dict(photo), "BGR"))
        for name, model in models.items():
            taken = []
            for _ in range(2):  # the first may meet a shape that is new
                start = time.perf_counter()
                poses = model(image)
                taken.append(time.perf_counter() - start)
            found[name].append(poses)
            seconds[name].append(min(taken))
    return found, {name: np.array(each) for name, each in seconds.items()}


def _score(
    cfg: DictConfig, dicts: list[dict[str, Any]], found: list[Poses]
) -> dict[str, dict[str, float]]:
    evaluator = PoseEvaluator(cfg.dataloader.test.dataset.names)
    evaluator.reset()
    for photo, poses in zip(dicts, found, strict=True):
        evaluator.process([photo], [{"instances": poses.to_instances()}])
    return evaluator.evaluate()
