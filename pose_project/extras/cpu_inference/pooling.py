"""ROIAlign as a weighted sum of rows, which on a CPU is many times faster.

The mean over a bin's bilinear samples is linear in the features, and separable: a cell's weight is
the product of one for its row and one for its column. With channels last in memory each cell is a
row of C numbers, and a bin is a weighted sum of a few rows, which is what ``embedding_bag`` does.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from detectron2.layers import ROIAlign
from torch import Tensor, nn

_MOST_WEIGHTS = 4_000_000  # computed at once


class ChannelsLastROIAlign(ROIAlign):
    """Detectron2's ``ROIAlign`` for features that have their channels last in memory.

    The same arguments, and the same result but for rounding. Other layouts are converted first.
    Boxes should have been clipped to the photo: time and memory grow with the cells that a box
    covers, inside or not.
    """

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Return the pooled features.

        Args:
            features: (B, C, H, W).
            rois: (R, 5) as (index in the batch, x0, y0, x1, y1), in pixels of the photo; cell 0 of
                the features is centred on ``0.5 / spatial_scale`` if ``aligned``, else on 0.

        Returns:
            (R, C, P_h, P_w) of the features' dtype, channels last in memory; summed in float32.
        """
        batch, channels, height, width = features.shape
        table = features.permute(0, 2, 3, 1).reshape(batch * height * width, channels).float()
        size = self.output_size
        rows_of_bins, columns_of_bins = (size, size) if isinstance(size, int) else size
        corners = rois[:, 1:].float() * self.spatial_scale - (0.5 if self.aligned else 0)
        lengths = corners[:, 2:] - corners[:, :2]
        if not self.aligned:
            lengths = lengths.clamp(min=1)
        y, y_weights = self._axis(corners[:, 1], lengths[:, 1], rows_of_bins, height)
        x, x_weights = self._axis(corners[:, 0], lengths[:, 0], columns_of_bins, width)
        y = (rois[:, 0].long() * height)[:, None, None] + y
        bins = [
            _weighted_rows(table, y[part] * width, x[part], y_weights[part], x_weights[part])
            for part in _parts(len(rois), y[0].numel() * x[0].numel() if len(rois) else 1)
        ]
        shape = (len(rois), rows_of_bins, columns_of_bins, channels)
        pooled = (torch.cat(bins) if bins else table[:0]).to(features.dtype)
        return pooled.view(shape).permute(0, 3, 1, 2)

    def _axis(
        self, start: Tensor, length: Tensor, num_bins: int, num_cells: int
    ) -> tuple[Tensor, Tensor]:
        """Return which cells each bin averages along one axis, and their weights.

        Args:
            start: (R,) first edges of the boxes in cells, where cell i is centred on i.
            length: (R,) of the boxes, in cells.
            num_bins: P along this axis.
            num_cells: of the features along this axis.

        Returns:
            (R, P, W) int64 cells in [0, num_cells), and their (R, P, W) weights, which may be 0.
        """
        if self.sampling_ratio > 0:
            samples = torch.full_like(length, self.sampling_ratio)
        else:
            samples = (length / num_bins).ceil()  # none of a box without an area, which gives 0
        samples, bin_length = samples[:, None, None], (length / num_bins)[:, None, None]
        bins = torch.arange(num_bins, device=start.device)[:, None]
        most = max(1, int(samples.max())) if len(start) else 1
        number = torch.arange(most, device=start.device)
        counted = samples.clamp(min=1)
        # (R, P, samples)
        positions = start[:, None, None] + bin_length * (bins + (number + 0.5) / counted)
        # as in torchvision: beyond one cell outside the features a sample is 0
        counts = (number < samples) & (positions >= -1) & (positions <= num_cells)
        positions = positions.clamp(0, num_cells - 1)
        first = positions[..., :1].floor()
        reach = torch.where(counts, positions - first, 0).amax() if len(start) else 0
        cells = first + torch.arange(int(reach) + 2, device=start.device)
        distances = (positions[..., None, :] - cells[..., None]).abs()
        weights = ((1 - distances).clamp(min=0) * counts[..., None, :]).sum(dim=3) / counted
        return cells.clamp(max=num_cells - 1).long(), weights


def use_channels_last_pooling(model: nn.Module) -> None:
    """Replace every ``ROIAlign`` of a model by :class:`ChannelsLastROIAlign`, in place."""
    for name, module in list(model.named_modules()):
        if type(module) is ROIAlign:
            ours = ChannelsLastROIAlign(
                module.output_size, module.spatial_scale, module.sampling_ratio, module.aligned
            )
            model.set_submodule(name, ours)


def _weighted_rows(
    table: Tensor, rows: Tensor, columns: Tensor, row_weights: Tensor, column_weights: Tensor
) -> Tensor:
    """Return (R * P_h * P_w, C): for each bin the weighted sum of its cells.

    Args:
        table: (cells, C) features, float32.
        rows: (R, P_h, W_h) first cell of each row that a bin takes part in.
        columns: (R, P_w, W_w) likewise, to be added.
        row_weights: (R, P_h, W_h).
        column_weights: (R, P_w, W_w).
    """
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    cells = rows[:, :, None, :, None] + columns[:, None, :, None, :]
    used = weights > 0
    counts = used.sum(dim=(3, 4)).flatten()
    return F.embedding_bag(
        cells[used],
        table,
        counts.cumsum(0) - counts,
        mode="sum",
        per_sample_weights=weights[used],
    )


def _parts(num_boxes: int, weights_per_box: int) -> Iterator[slice]:
    step = max(1, _MOST_WEIGHTS // weights_per_box)
    return (slice(first, first + step) for first in range(0, num_boxes, step))
