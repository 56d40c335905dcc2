"""From heatmaps to points: the inverse of ``targets.encode_keypoints``."""

import torch
import torch.nn.functional as F
from torch import Tensor


def decode_heatmaps(keypoint_logits: Tensor, boxes: Tensor) -> Tensor:
    """Return the most likely position of every keypoint at the resolution of the image.

    Each heatmap is enlarged to its box, rounded up to whole pixels, by bicubic interpolation, and
    the largest value taken (Mask R-CNN as released; Detectron2's ``heatmaps_to_keypoints``).
    Bicubic interpolation is separable, so it is two matrix products per instance here. Computed in
    float32 whatever the dtype of the logits: in bfloat16 the maximum would move by pixels.

    Args:
        keypoint_logits: (R, K, S, S) raw output of the head.
        boxes: (R, 4) XYXY_ABS, continuous image coordinates in pixels. Sides below one pixel
            count as one.

    Returns:
        (R, K, 4) float32 as (x, y, logit, score): continuous image coordinates at pixel centres;
        the logit at the maximum; its share of the S x S softmax, > 0 and not bounded by 1, since
        the enlarged map can exceed every cell. R = 0 gives (0, K, 4).
    """
    with torch.autocast(keypoint_logits.device.type, enabled=False):
        return _decode(keypoint_logits.detach().float(), boxes.detach().float())


def _decode(logits: Tensor, boxes: Tensor) -> Tensor:
    corner = boxes[:, :2]
    size = (boxes[:, 2:] - corner).clamp(min=1)
    pixels_wh = size.ceil()
    num_instances, num_keypoints, heatmap_size, _ = logits.shape
    log_partition = logits.flatten(2).logsumexp(dim=2)
    cells = torch.eye(heatmap_size, device=logits.device)[None, None]

    decoded = logits.new_zeros(num_instances, num_keypoints, 4)
    for index, (width, height) in enumerate(pixels_wh.long().tolist()):
        enlarged = _bicubic_matrix(cells, height).T @ logits[index] @ _bicubic_matrix(cells, width)
        peak, position = enlarged.flatten(1).max(dim=1)
        pixel = torch.stack([position % width, position // width], dim=1)
        decoded[index, :, :2] = (pixel + 0.5) * (size[index] / pixels_wh[index]) + corner[index]
        decoded[index, :, 2] = peak
        decoded[index, :, 3] = (peak - log_partition[index]).exp()
    return decoded


def _bicubic_matrix(cells: Tensor, length: int) -> Tensor:
    """Return (S, length): how much each of S cells adds to each of ``length`` pixels."""
    size = (cells.shape[-1], length)
    return F.interpolate(cells, size=size, mode="bicubic", align_corners=False)[0, 0]
