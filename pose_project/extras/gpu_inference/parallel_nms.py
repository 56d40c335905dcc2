"""Non-maximum suppression as a fixed number of matrix products, without a look at the result.

Greedy suppression keeps a box unless a better one that is kept overlaps it. With the boxes in
order of score and removes[i, j] saying that j comes before i and overlaps it, that is the one
solution of

    keep[i] = no j with removes[i, j] and keep[j],

which is reached by repeating the right-hand side from any start: after t repetitions all boxes are
right that no chain of more than t removals leads to. (Cluster-NMS: Zheng et al., IEEE Transactions
on Cybernetics 2021, section III-C.) A step that changes nothing proves that the solution is found.
"""

import torch
from torch import Tensor

_STEPS = 12  # photos of synthetic people need up to 10
_PAIRS_AT_ONCE = 2**24  # of boxes: bounds the memory of a batch


def suppress(boxes: Tensor, is_candidate: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor]:
    """Return which boxes greedy suppression keeps, and whether that is certain.

    The host never waits for the device: shapes depend on shapes alone.

    Args:
        boxes: (G, N, 4) XYXY float32: G groups that do not suppress each other, the best first.
        is_candidate: (G, N) bool: the boxes that take part.
        iou_threshold: a box is removed by a better one if their IoU is above this.

    Returns:
        keep: (G, N) bool, false for what is not a candidate.
        is_settled: () bool; false where a chain of removals was too long for the number of steps,
            and ``keep`` may be wrong.
    """
    groups_at_once = max(1, _PAIRS_AT_ONCE // max(boxes.shape[1] ** 2, 1))
    parts = [
        _suppress(*part, iou_threshold)
        for part in zip(
            boxes.split(groups_at_once), is_candidate.split(groups_at_once), strict=True
        )
    ]
    if len(parts) == 1:
        return parts[0]
    keep, is_settled = zip(*parts, strict=True)
    return torch.cat(keep), torch.stack(is_settled).all()


def _suppress(boxes: Tensor, is_candidate: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor]:
    overlaps = _pairwise_iou(boxes) > iou_threshold
    removes = (overlaps.tril(-1) & is_candidate[:, None]).float()
    before = keep = removes.new_ones(*is_candidate.shape, 1)
    for _ in range(_STEPS):
        # counts of zeros and ones: 0 is exactly 0 in any precision
        before, keep = keep, torch.bmm(removes, keep).eq_(0)
    return (keep.squeeze(2) > 0) & is_candidate, (keep == before).all()


def _pairwise_iou(boxes: Tensor) -> Tensor:
    """Return (G, N, N) IoU of (G, N, 4) boxes, by torchvision's formula; NaN without any area."""
    corner, opposite = boxes.split(2, dim=2)
    area = (opposite - corner).prod(dim=2)
    sides = torch.minimum(opposite[:, :, None], opposite[:, None]) - torch.maximum(
        corner[:, :, None], corner[:, None]
    )
    intersection = sides.clamp_(min=0).prod(dim=3)
    return intersection / (area[:, :, None] + area[:, None] - intersection)
