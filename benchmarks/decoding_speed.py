"""Keypoint decoding against Detectron2's and torchvision's."""

from collections.abc import Iterator
from functools import partial

import torch
from detectron2.structures import heatmaps_to_keypoints as detectron2_decoding
from torch import Tensor
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints as torchvision_decoding

from benchmarks.compare import Comparison, Difference, compare
from pose_project.modeling import decode_heatmaps

_NUM_KEYPOINTS, _SIDE = 17, 56
_SECONDS = 3.0  # of pairs of runs for each number of people
PEOPLE = (1, 3, 10, 30, 100)
# name: (maps, smallest and largest side of the boxes in pixels, numbers of people)
_CASES: dict[str, tuple[str, float, float, tuple[int, ...]]] = {
    "trained-like maps": ("trained", 50, 400, PEOPLE),
    "noise": ("noise", 50, 400, PEOPLE),
    "noise in tiny boxes": ("noise", 4, 56, (1, 10, 100)),
    "trained-like maps in large boxes": ("trained", 400, 800, (1, 10)),
}


def measure_decoding(
    peer: str, device: torch.device, seconds: float | None = None
) -> Iterator[Comparison]:
    """Yield one comparison for each kind of maps and number of people.

    Args:
        peer: ``detectron2`` or ``torchvision``.
        device: where to decode.
        seconds: of pairs of runs for each; None: as many as the docs need.
    """
    theirs = {"detectron2": _detectron2, "torchvision": _torchvision}[peer]
    generator = torch.Generator().manual_seed(0)
    for case, (kind, smallest, largest, counts) in _CASES.items():
        for count in counts:
            logits = make_heatmaps(kind, count, generator).to(device)
            boxes = make_boxes(count, smallest, largest, generator).to(device)
            yield compare(
                case,
                f"{peer}'s heatmaps_to_keypoints",
                {"people": count, "keypoints": _NUM_KEYPOINTS, "heatmap_side": _SIDE},
                partial(decode_heatmaps, logits, boxes),
                partial(theirs, logits, boxes),
                _difference,
                device,
                seconds=_SECONDS if seconds is None else seconds,
            )


def make_heatmaps(kind: str, count: int, generator: torch.Generator) -> Tensor:
    """Return (count, 17, 56, 56) logits.

    Args:
        kind: ``noise``: of a normal distribution; ``trained``: one smooth peak of height 12 and of
            a width of 2 to 4 cells on a ground of -4 each, and noise of 0.3.
        count: people.
        generator: the maps depend on its state.
    """
    shape = (count, _NUM_KEYPOINTS, _SIDE, _SIDE)
    noise = torch.randn(shape, generator=generator)
    if kind == "noise":
        return noise
    x, y, width = torch.rand((3, count, _NUM_KEYPOINTS, 1, 1), generator=generator)
    cells = torch.arange(_SIDE)
    squared = (cells - _SIDE * x) ** 2 + (cells[:, None] - _SIDE * y) ** 2
    return 12 * (-squared / (2 * (2 + 2 * width) ** 2)).exp() - 4 + 0.3 * noise


def make_boxes(count: int, smallest: float, largest: float, generator: torch.Generator) -> Tensor:
    """Return (count, 4) XYXY_ABS boxes with sides from smallest to largest, in pixels."""
    size = smallest + (largest - smallest) * torch.rand((count, 2), generator=generator)
    corner = 100 * torch.rand((count, 2), generator=generator)
    return torch.cat([corner, corner + size], dim=1)


def _detectron2(logits: Tensor, boxes: Tensor) -> Tensor:
    return detectron2_decoding(logits, boxes)


def _torchvision(logits: Tensor, boxes: Tensor) -> Tensor:
    """Return (R, K, 3) as (x, y, logit)."""
    points, logit = torchvision_decoding(logits, boxes)
    return torch.cat([points[..., :2], logit[..., None]], dim=2)


def _difference(ours: Tensor, theirs: Tensor) -> list[Difference]:
    """Compare x and y, the logit and, where the peer has one, the score.

    The points may differ by more than rounding only where two pixels tie within rounding, which is
    where the logits still agree.
    """
    logit_error = (ours[..., 2] - theirs[..., 2]).abs()
    moved = (ours[..., :2] - theirs[..., :2]).abs().amax(dim=2) > 1e-2
    differences = [
        Difference("logit", float(logit_error.max()), 1e-4),
        Difference("points elsewhere", float(moved.float().mean()), 2e-3),
    ]
    if theirs.shape[2] == 4:
        relative = (ours[..., 3] / theirs[..., 3] - 1).abs()
        differences.append(Difference("score, relative", float(relative.max()), 1e-4))
    return differences
