"""Where between the cells a heatmap is highest, by a Taylor expansion around its highest cell."""

import torch
from torch import Tensor


def refine_by_taylor(keypoint_logits: Tensor, boxes: Tensor) -> Tensor:
    """Return the maximum of the parabola through each heatmap's highest cell and its neighbours.

    DARK (Zhang et al., CVPR 2020, section 3.2): with gradient g and Hessian H of the logarithm of
    the heatmap, the maximum is H^-1 g before the cell. Logits are such a logarithm up to a
    constant, so nothing is smoothed and no logarithm taken.

    Args:
        keypoint_logits: (R, K, S, S) raw output of the head, S at least 3.
        boxes: (R, 4) XYXY_ABS, continuous image coordinates in pixels.

    Returns:
        (R, K, 2) as (x, y) in continuous image coordinates; the centre of the highest cell where
        the map is not curved downwards there, and at most one cell away from it.
    """
    side = keypoint_logits.shape[-1]
    maps = keypoint_logits.float().flatten(0, 1)
    highest = maps.flatten(1).argmax(dim=1)
    cell = torch.stack([highest % side, highest // side], dim=1)
    x, y = cell.clamp(1, side - 2).unbind(dim=1)  # derivatives at the border are its neighbour's
    each = torch.arange(len(maps), device=maps.device)

    def at(dx: int, dy: int) -> Tensor:
        return maps[each, y + dy, x + dx]

    g_x, g_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    h_xx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    h_yy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    h_xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = h_xx * h_yy - h_xy**2
    step = torch.stack([h_xy * g_y - h_yy * g_x, h_xy * g_x - h_xx * g_y], dim=1)
    is_peak = (determinant > 0) & (h_xx < 0) & (x == cell[:, 0]) & (y == cell[:, 1])
    step = torch.where(is_peak[:, None], step / determinant[:, None], torch.zeros_like(step))
    cells = (cell + 0.5 + step.clamp(-1, 1)).view(*keypoint_logits.shape[:2], 2)
    size = (boxes[:, 2:] - boxes[:, :2]).float().clamp(min=1)
    return boxes[:, None, :2] + cells * (size / side)[:, None]
