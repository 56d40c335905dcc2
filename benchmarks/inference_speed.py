"""Whole inference, photo in and people out, against Detectron2's and torchvision's model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from detectron2.structures import Boxes, Instances, pairwise_iou
from torch import Tensor, nn

from benchmarks.compare import Comparison, Difference, compare
from benchmarks.models import (
    build,
    build_torchvision,
    make_photos,
    our_config,
    random_weights,
    stock_config,
)
from pose_project.modeling.acceleration import FastInference, InferenceSettings

_SECONDS = 20.0  # of pairs of runs for each size
_PEOPLE, _SIDE, _BATCH = 20, 800, 1
_ASPECT = 4 / 3
_SAME_IOU, _SAME_PIXELS = 0.99, 0.1
_TORCHVISION_CONFIG = "torchvision_keypoint_rcnn_R50_FPN.py"


@dataclass(frozen=True)
class Case:
    """A way to run our model, a way to run the peer's, and the sizes to do it at."""

    name: str
    switches: dict[str, Any] = field(default_factory=dict)
    """Of ``InferenceSettings``."""
    peer_dtype: torch.dtype = torch.float32
    people: tuple[int, ...] = (_PEOPLE,)
    sides: tuple[int, ...] = (_SIDE,)
    batches: tuple[int, ...] = (_BATCH,)
    topk: int | None = None
    """``topk_per_image`` of our keypoint head."""

    def sizes(self) -> Iterator[dict[str, float]]:
        """Yield the sizes, the one that grows first."""
        for people in self.people:
            for side in self.sides:
                for batch in self.batches:
                    work = {"people": people, "short_side": side, "batch": batch}
                    grows = "short_side" if len(self.sides) > 1 else "batch"
                    first = grows if len(self.people) == 1 else "people"
                    yield {first: work.pop(first), **work}


_PLAIN = {"fold_batchnorm": False, "channels_last": False}
_COMPILED = {"compile_backbone": True, "compile_heads": True}
_ON_A_CPU = (
    Case("default, by people", people=(1, _PEOPLE, 100)),
    Case("default, by size of the photo", sides=(400, 600, 800)),
    Case("default, by batch", sides=(400,), batches=(1, 2, 4)),
    Case("no switch", _PLAIN),
    Case("fold_batchnorm", {**_PLAIN, "fold_batchnorm": True}),
    Case("channels_last", {**_PLAIN, "channels_last": True}),
    Case("default, topk_per_image=20", people=(100,), topk=20),
    Case("dtype=bf16", {"dtype": "bf16"}, people=(1, _PEOPLE, 100)),
)
_ON_A_GPU = (
    Case("default, by people", people=(1, _PEOPLE, 100)),
    Case("default, by size of the photo", sides=(400, 800)),
    Case("default, by batch", batches=(1, 8)),
    Case("cuda_graphs=False", {"cuda_graphs": False}, batches=(1, 8)),
    Case("dtype=bf16, peer as well", {"dtype": "bf16"}, torch.bfloat16, batches=(1, 8)),
    Case("dtype=fp16, peer as well", {"dtype": "fp16"}, torch.float16),
    Case("dtype=bf16 compiled", {"dtype": "bf16", **_COMPILED}, torch.bfloat16),
)


def measure_inference(
    peer: str, device: torch.device, seconds: float | None = None
) -> Iterator[Comparison]:
    """Yield one comparison for each way to run our model and each size.

    Args:
        peer: ``detectron2`` or ``torchvision``.
        device: where both run.
        seconds: of pairs of runs for each; None: as many as the docs need.
    """
    config = stock_config() if peer == "detectron2" else our_config(_TORCHVISION_CONFIG)
    weights = random_weights(config)
    if peer == "detectron2":
        ours, theirs = our_config(), _Detectron2(build(config, weights, device))
    else:
        ours, theirs = config, _Torchvision(build_torchvision(weights, device))
    model = build(ours, weights, device)
    for case in _ON_A_GPU if device.type == "cuda" else _ON_A_CPU:
        model.roi_heads.keypoint_head.topk_per_image = case.topk
        for work in case.sizes():
            photos = make_photos(
                work["batch"], work["short_side"], 32 * round(work["short_side"] * _ASPECT / 32)
            )
            limit_people(model.roi_heads.box_predictor, work["people"])
            fast = FastInference(model, InferenceSettings(**case.switches))
            theirs.prepare(work["people"], work["short_side"], case.peer_dtype)
            yield compare(
                case.name,
                f"{peer}'s R50-FPN, {str(case.peer_dtype).removeprefix('torch.')}",
                work,
                partial(_run, fast, photos),
                partial(theirs, photos),
                partial(
                    _difference,
                    is_low_precision=fast.dtype != torch.float32,
                    with_points=case.topk is None,  # else most people have none on our side
                ),
                device,
                seconds=_SECONDS if seconds is None else seconds,
            )


def limit_people(box_predictor: nn.Module, count: int) -> None:
    """Let a model find so many people, whatever their scores are."""
    box_predictor.test_score_thresh = 0.0
    box_predictor.test_topk_per_image = count


def _run(model: Callable[[Any], Any], photos: list[dict[str, Any]]) -> list[Instances]:
    return [each["instances"].to("cpu") for each in model(photos)]


class _Detectron2:
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def prepare(self, people: int, side: int, dtype: torch.dtype) -> None:
        limit_people(self.model.roi_heads.box_predictor, people)
        device = next(self.model.parameters()).device.type
        low = dtype != torch.float32
        self.autocast = torch.autocast(device, dtype if low else None, enabled=low)

    @torch.no_grad()
    def __call__(self, photos: list[dict[str, Any]]) -> list[Instances]:
        with self.autocast:
            return _run(self.model, photos)


class _Torchvision(_Detectron2):
    def prepare(self, people: int, side: int, dtype: torch.dtype) -> None:
        heads = self.model.roi_heads
        heads.score_thresh, heads.detections_per_img = 0.0, people
        self.model.transform.min_size, self.model.transform.max_size = (side,), 2 * side
        device = next(self.model.parameters()).device
        low = dtype != torch.float32
        self.autocast = torch.autocast(device.type, dtype if low else None, enabled=low)
        self.device = device

    @torch.no_grad()
    def __call__(self, photos: list[dict[str, Any]]) -> list[dict[str, Tensor]]:
        with self.autocast:
            found = self.model([photo["image"].to(self.device) / 255 for photo in photos])
        return [{name: value.cpu() for name, value in each.items()} for each in found]


def _difference(
    ours: list[Instances], theirs: list[Any], is_low_precision: bool, with_points: bool
) -> list[Difference]:
    """Compare scores, boxes, and the points of people with the same boxes.

    With random weights low precision finds other people, so that only scores can be compared, and
    those are not judged: a trained model's AP is, see ``accuracy``.
    """
    scores, lost, moved = 0.0, [], []
    for own, other in zip(ours, theirs, strict=True):
        boxes, their_scores, points = _parts_of(other)
        in_order = (own.scores - their_scores).abs()  # both have the best first
        scores = max(scores, float(in_order.max()))
        best, found = pairwise_iou(own.pred_boxes, Boxes(boxes)).max(dim=0)
        lost.append((best < _SAME_IOU).float())
        apart = (own.pred_keypoints[found, :, :2] - points[..., :2]).norm(dim=2)
        moved.append((apart > _SAME_PIXELS).float()[best >= _SAME_IOU].flatten())
    if is_low_precision:
        return [Difference("scores", scores, None)]
    differences = [
        Difference("scores", scores, 1e-4),
        Difference("people elsewhere", float(torch.cat(lost).mean()), 0.01),
    ]
    if with_points:
        differences.append(Difference("points elsewhere", float(torch.cat(moved).mean()), 0.01))
    return differences


def _parts_of(found: Any) -> tuple[Tensor, Tensor, Tensor]:
    if isinstance(found, Instances):
        return found.pred_boxes.tensor, found.scores, found.pred_keypoints
    return found["boxes"], found["scores"], found["keypoints"]
