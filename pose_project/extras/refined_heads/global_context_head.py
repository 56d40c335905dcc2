"""A keypoint head in which every cell of a person's region sees all the others.

The head of arXiv 2301.04842 (68.1 keypoint AP with R50-FPN on COCO val2017): two blocks of
self-attention among the convolutions of Mask R-CNN's head.

Legend: R people, C channels, S side of the features in cells, A attention heads, D = C / A.
"""

from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import configurable
from detectron2.layers import Conv2d, ShapeSpec
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from torch import Tensor, nn

from pose_project.modeling.keypoint_head import SpatialSoftmaxKeypointHead


class CellAttention(nn.Module):
    """Multi-head self-attention over the cells of a map, with relative positions.

    A query also meets a learned vector for how many rows and one for how many columns the other
    cell is away (BoTNet, arXiv 2101.11605, figure 4). With these at zero it is
    ``nn.MultiheadAttention`` with the same weights.

    Args:
        channels: C.
        num_heads: A, a divisor of C.
        side: S.
    """

    def __init__(self, channels: int, num_heads: int, side: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.rows = nn.Parameter(torch.zeros(2 * side - 1, channels // num_heads))
        self.columns = nn.Parameter(torch.zeros(2 * side - 1, channels // num_heads))
        place = torch.arange(side)
        away = place[None] - place[:, None] + side - 1  # (query, key)
        self.register_buffer("away", away, persistent=False)
        for table in (self.rows, self.columns):
            nn.init.normal_(table, std=(channels // num_heads) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return (R, C, S, S) of the same."""
        # all sizes but R are spelt out: an exported graph cannot infer one of nobody
        people, channels, side, _ = x.shape
        heads, width = self.num_heads, channels // self.num_heads
        cells = x.permute(0, 2, 3, 1).reshape(people, side * side, channels)
        qkv = self.to_qkv(cells).reshape(people, side * side, 3, heads, width)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (R, A, SS, D)
        scale = width**-0.5
        on_grid = q.reshape(people, heads, side, side, width) * scale
        by_row = torch.einsum("rayxd,ykd->rayxk", on_grid, self.rows[self.away])
        by_column = torch.einsum("rayxd,xkd->rayxk", on_grid, self.columns[self.away])
        bias = by_row[..., :, None] + by_column[..., None, :]
        bias = bias.reshape(people, heads, side * side, side * side).to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
        mixed = mixed.permute(0, 2, 1, 3).reshape(people, side, side, channels)
        return self.out(mixed).permute(0, 3, 1, 2)


class GlobalContext(nn.Module):
    """BN-ReLU-attention with a skip, then BN-ReLU-3x3 convolution with a skip."""

    def __init__(self, channels: int, num_heads: int, side: int) -> None:
        super().__init__()
        self.attention_norm = nn.BatchNorm2d(channels)
        self.attention = CellAttention(channels, num_heads, side)
        self.conv_norm = nn.BatchNorm2d(channels)
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (R, C, S, S) of the same."""
        x = x + self.attention(F.relu(_normalise(self.attention_norm, x)))
        return x + self.conv(F.relu(_normalise(self.conv_norm, x)))


def _normalise(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Return what ``norm`` does; of nobody there are no statistics to take."""
    if norm.training and len(x) == 0:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return norm(x)


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class GlobalContextKeypointHead(SpatialSoftmaxKeypointHead):
    """The softmax head with attention before its first convolution and halfway through.

    A 1x1 convolution first brings the features to the width of the head. Of the stock head's
    weights all load but those of the first 3x3 convolution, which now has as many inputs as
    outputs.

    Args:
        input_shape: shape of the pooled features.
        conv_dims: output channels of each 3x3 convolution, all the same.
        num_heads: of the attention; 4 of 128 channels in the paper.
        arguments: of ``SpatialSoftmaxKeypointHead``.

    Raises:
        ValueError: if ``conv_dims`` differ or are not multiples of ``num_heads``.
    """

    @configurable
    def __init__(
        self, input_shape: ShapeSpec, *, conv_dims: list[int], num_heads: int = 4, **arguments: Any
    ) -> None:
        width = conv_dims[0]
        if len(set(conv_dims)) > 1 or width % num_heads:
            raise ValueError(
                f"conv_dims must be equal and a multiple of num_heads={num_heads}, got {conv_dims}"
            )
        widened = ShapeSpec(channels=width, height=input_shape.height, width=input_shape.width)
        super().__init__(widened, conv_dims=conv_dims, **arguments)
        self.widen = Conv2d(input_shape.channels, width, 1)
        self.context_first = GlobalContext(width, num_heads, input_shape.width)
        self.context_halfway = GlobalContext(width, num_heads, input_shape.width)
        self.halfway = f"conv_fcn{len(conv_dims) // 2 + 1}"

    def trunk(self, x: Tensor) -> Tensor:
        """Return (R, K, 28, 28) of (R, C, 14, 14) features."""
        x = self.context_first(self.widen(x))
        for name, layer in self.stock_layers():
            x = layer(self.context_halfway(x) if name == self.halfway else x)
        return x
