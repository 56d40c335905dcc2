"""The keypoint loss: a softmax over the S * S cells of each keypoint's heatmap."""

import torch.nn.functional as F
from torch import Tensor

_IGNORED = -100


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
