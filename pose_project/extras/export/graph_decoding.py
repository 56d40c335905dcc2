"""The highest pixel of every enlarged heatmap, as a loop that is part of an exported graph.

Legend: N people, K keypoints, S side of a heatmap in cells, L pixels along a side of a box.

:func:`pose_project.modeling.decode_heatmaps` gives the same points faster, but decides by looking
at the numbers, which a graph cannot. Here each person's maps are enlarged whole, one person after
the other, so that memory does not grow with their number: per person (S + L) L S K multiply-adds,
a tenth of what the keypoint head takes for a person of 800 pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def bicubic_rows(length: Tensor, side: int) -> Tensor:
    """Return (L, S + 4): what the cells -2 .. S + 1 of a map add to each pixel of its enlargement.

    Keys' kernel with a = -3/4, as ``F.interpolate(mode="bicubic", align_corners=False)`` has it.

    Args:
        length: () float32, L.
        side: S.
    """
    pixels = torch.arange(length, dtype=torch.float32, device=length.device)
    positions = (pixels + 0.5) * (side / length) - 0.5
    cells = torch.arange(-2, side + 2, dtype=torch.float32, device=length.device)
    d = (positions[:, None] - cells).abs()
    near = (1.25 * d - 2.25) * d * d + 1
    far = ((-0.75 * d + 3.75) * d - 6) * d + 3
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


@torch.jit.script
def _highest_pixels(padded_logits: Tensor, sizes_wh: Tensor) -> Tensor:
    """Return (N, K, 3) as (x, y, value): the highest pixel of each map.

    Args:
        padded_logits: (N, K, S + 4, S + 4), two cells more on each side, repeated from the edge.
        sizes_wh: (N, 2) whole pixels, at least 1, float32.
    """
    side = padded_logits.shape[3] - 4
    found = padded_logits[:, :, 0, :3] * 0
    for person in range(padded_logits.shape[0]):
        columns = bicubic_rows(sizes_wh[person, 0], side)
        rows = bicubic_rows(sizes_wh[person, 1], side)
        enlarged = (rows @ (padded_logits[person] @ columns.t())).flatten(1)
        width = columns.shape[0]
        position = enlarged.argmax(dim=1, keepdim=True)
        value = enlarged.gather(1, position)
        point = torch.cat([(position % width).float(), (position // width).float(), value], dim=1)
        found[person] = point
    return found


def decode_in_graph(keypoint_logits: Tensor, boxes: Tensor) -> Tensor:
    """Return (N, K, 3) as (x, y, score): the columns 0, 1 and 3 of ``decode_heatmaps``.

    Args:
        keypoint_logits: (N, K, S, S) float32.
        boxes: (N, 4) XYXY_ABS, continuous image coordinates.
    """
    corner = boxes[:, :2]
    size = (boxes[:, 2:] - corner).clamp(min=1)
    pixels_wh = size.ceil()
    padded = F.pad(keypoint_logits, (2, 2, 2, 2), mode="replicate")
    found = _highest_pixels(padded, pixels_wh)
    points = (found[..., :2] + 0.5) * (size / pixels_wh)[:, None] + corner[:, None]
    highest = keypoint_logits.amax(dim=(2, 3))  # of zero people no axes can be flattened
    total = (keypoint_logits - highest[..., None, None]).exp().sum(dim=(2, 3))
    score = (found[..., 2] - highest).exp() / total
    return torch.cat([points, score[..., None]], dim=2)
