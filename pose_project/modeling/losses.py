"""The keypoint loss: a softmax over the S * S cells of each keypoint's heatmap.

Spaces: *image* (continuous, pixels of the network's input) and *cell* (row-major index into an
S x S heatmap stretched over a box). R instances, K keypoints.
"""

import torch.nn.functional as F
from torch import Tensor

_IGNORED = -100


def encode_keypoints(keypoints: Tensor, boxes: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
    """Return the heatmap cell of every keypoint, and which of them can be trained on.

    A point in a box maps to floor((x - x0) * S / (x1 - x0)); the right and the bottom edge belong
    to the last cell (Mask R-CNN, section 5: one cell of the S x S map is the foreground).

    Args:
        keypoints: (R, K, 3) as (x, y, v); continuous image coordinates in pixels; v in {0, 1, 2}.
        boxes: (R, 4) XYXY_ABS in the same image space.
        heatmap_size: side S of the square heatmap, in cells.

    Returns:
        targets: (R, K) int64 in [0, S * S), as y * S + x; 0 where not valid.
        valid: (R, K) bool, True where v > 0 and the point lies in its box, edges included. Never
            for a box without area.
    """
    corner = boxes[:, None, :2]
    size = boxes[:, None, 2:] - corner
    offset = keypoints[..., :2] - corner
    inside = ((offset >= 0) & (offset <= size)).all(dim=-1)
    valid = inside & (keypoints[..., 2] > 0) & (size > 0).all(dim=-1)
    cell = (offset * (heatmap_size / size)).floor().clamp(max=heatmap_size - 1)
    targets = cell[..., 1] * heatmap_size + cell[..., 0]
    # masked_fill before the cast: what lies outside may not be representable as an integer
    return targets.masked_fill(~valid, 0).long(), valid


def keypoint_loss(
    keypoint_logits: Tensor, targets: Tensor, valid: Tensor, normalizer: Tensor | float
) -> Tensor:
    """Return the summed cross-entropy of the valid keypoints, divided by ``normalizer``.

    Mask R-CNN, section 5: "we minimize the cross-entropy loss over an m^2-way softmax output".
    Computed in float32 whatever the dtype of the logits. Without a valid keypoint the loss is 0
    and every parameter still gets a gradient (of zeros), also where logits are not finite.

    Args:
        keypoint_logits: (R, K, S, S) raw output of the head.
        targets: (R, K) int64 cell indices in [0, S * S).
        valid: (R, K) bool, the keypoints that count.
        normalizer: positive number.

    Returns:
        Scalar float32, >= 0.
    """
    logits = keypoint_logits.flatten(2)
    if logits.device.type == "cpu":
        logits, targets = logits[valid], targets[valid]
    else:
        # a GPU would wait to know how many are valid; zeros also stop gradients that are not finite
        logits = logits.where(valid[..., None], 0).flatten(0, 1)
        targets = targets.where(valid, _IGNORED).flatten()
    losses = F.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=_IGNORED)
    return losses / normalizer
