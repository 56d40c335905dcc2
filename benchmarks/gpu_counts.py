"""How often the host waits for its GPU, and how many kernels it starts: per photo, per step."""

import itertools
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.engine import SimpleTrainer
from detectron2.utils.events import EventStorage
from torch.profiler import ProfilerActivity, profile

import pose_project
from benchmarks.inference_speed import limit_people
from benchmarks.models import build, make_photos, our_config, random_weights, stock_config
from benchmarks.train_speed import make_batch, make_optimizer
from pose_project.engine.train_step import TrainStep
from pose_project.modeling.acceleration import FastInference, InferenceSettings, to_channels_last

_EAGER = InferenceSettings(cuda_graphs=False)
_RUNS = 15  # whose median time counts
_WARM_UPS = 4  # kernels are chosen, graphs recorded
_PEOPLE = 20
_COMPACT, _COMPACT_SIDE, _COMPACT_PEOPLE = "quick/synthetic.py", 192, 4
_OF_WARNINGS = (__file__, warnings.__file__)
_PACKAGE = str(Path(pose_project.__file__).parent)
_WAITS = "called a synchronizing CUDA operation"


def measure_counts(device: torch.device, side: int = 800) -> Iterator[dict[str, Any]]:
    """Yield one record for each way to look at a photo, and to train on a batch.

    Args:
        device: on a CPU there is nothing to wait for, and only the time is told.
        side: the shorter one of the photos, in pixels.

    Yields:
        ``what``, ``who``; ``waits``: operations that PyTorch knows to wait for the device;
        ``our_waits``: those of them that a line of this project asks for; ``kernels``: started by
        the host or by a graph; ``launches``: calls that start kernels or graphs; ``gpu_ms``: the
        sum of the kernels' times; ``ms``: the median time.
    """
    weights = random_weights(stock_config())
    photos = make_photos(1, side, 32 * round(side * 4 / 3 / 32))
    models = {"ours": build(our_config(), weights, device)}
    models["detectron2"] = build(stock_config(), weights, device)
    for model in models.values():
        limit_people(model.roi_heads.box_predictor, _PEOPLE)
    ways = {
        "detectron2": models["detectron2"],
        "ours, cuda_graphs=False": FastInference(models["ours"], _EAGER),
        "ours": FastInference(models["ours"]),
        "ours, dtype=bf16": FastInference(models["ours"], InferenceSettings(dtype="bf16")),
    }
    for who, model in ways.items():
        of_photo = _measure(lambda m=model: _look(m, photos), device)
        yield {"what": f"R50-FPN, a photo of {side} px", "who": who, **of_photo}
    yield from _of_compact_model(device)
    batch = make_batch(2, side)
    for who in ("detectron2", "ours"):
        step = _ours(weights, batch, device) if who == "ours" else _stock(weights, batch, device)
        what = f"R50-FPN, a training step of two of {side} px"
        yield {"what": what, "who": who, **_measure(step, device)}


def _of_compact_model(device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield the records of the demo's model; the counts do not depend on its weights."""
    torch.manual_seed(0)
    model = instantiate(our_config(_COMPACT)).eval().to(device)
    limit_people(model.roi_heads.box_predictor, _COMPACT_PEOPLE)
    photos = make_photos(1, _COMPACT_SIDE, 256)
    ways = {
        "detectron2's forward": model,
        "ours, cuda_graphs=False": FastInference(model, _EAGER),
        "ours": FastInference(model),
    }
    for who, each in ways.items():
        of_photo = _measure(lambda m=each: _look(m, photos), device)
        yield {"what": "the demo's model, a photo", "who": who, **of_photo}


def _ours(weights: dict[str, Any], batch: list, device: torch.device) -> Callable[[], None]:
    model = build(our_config(), weights, device).train()
    to_channels_last(model)
    step = TrainStep(
        model,
        itertools.repeat(batch),
        make_optimizer(model, fused=True),
        device=device.type,
        seed=0,
        clip_grad_norm=5.0,
        reports=lambda iteration: False,
    )
    return lambda: _train(step)


def _stock(weights: dict[str, Any], batch: list, device: torch.device) -> Callable[[], None]:
    model = build(stock_config(), weights, device).train()
    step = SimpleTrainer(model, itertools.repeat(batch), make_optimizer(model, fused=False))
    return lambda: _train(step)


def _train(step: SimpleTrainer) -> None:
    with EventStorage():
        step.iter = 0
        step.run_step()


@torch.no_grad()
def _look(model: Callable[[Any], Any], photos: list[dict[str, Any]]) -> list[Any]:
    return [each["instances"].to("cpu") for each in model(photos)]


def _measure(function: Callable[[], Any], device: torch.device) -> dict[str, Any]:
    for _ in range(_WARM_UPS):
        function()
    result = {}
    if device.type == "cuda":
        lines = lines_that_wait(function)
        of_ours = sum(count for line, count in lines.items() if line.startswith(_PACKAGE))
        result = {"waits": lines.total(), "our_waits": of_ours, **_profile(function)}
    times = []
    for _ in range(_RUNS if device.type == "cuda" else 1):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return {**result, "ms": round(1e3 * median(times), 2)}


def lines_that_wait(function: Callable[[], Any]) -> Counter[str]:
    """Return how often each line outside of PyTorch makes the host wait, as PyTorch reports it."""
    lines: Counter[str] = Counter()

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        if _WAITS in str(message):
            frames = [each for each in traceback.extract_stack() if not _is_torch(each.filename)]
            frame = next(each for each in reversed(frames) if each.filename not in _OF_WARNINGS)
            lines[f"{frame.filename}:{frame.lineno}"] += 1

    torch.cuda.synchronize()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            function()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return lines


def _is_torch(filename: str) -> bool:
    return any(part in filename for part in ("-packages/torch/", "-packages/torchvision/"))


def _profile(function: Callable[[], Any]) -> dict[str, Any]:
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        function()
        torch.cuda.synchronize()
    events = trace.events()
    on_gpu = [each for each in events if each.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [each for each in on_gpu if not each.name.startswith(("Memcpy", "Memset"))]
    launches = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")
    return {
        "kernels": len(kernels),
        "launches": sum(each.name.startswith(launches) for each in events),
        "gpu_ms": round(sum(each.device_time for each in on_gpu) / 1e3, 2),
    }
