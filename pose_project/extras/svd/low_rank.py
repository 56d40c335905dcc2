"""Truncated SVD of fully connected layers, for a faster box head: Fast R-CNN, section 3.1.

A layer with weights W (u, v), u outputs and v inputs, is approximated by W ~ U_t Sigma_t V_t^T of
rank t and split into two: first Sigma_t V_t^T without a bias, then U_t with the bias of W. Its uv
parameters and multiply-adds become t(u + v). No other split into two of rank t is closer to W
(Eckart and Young, 1936). As in the paper only the hidden layers are split: the sibling output
layers behind them have a few rows, so min(u, v) leaves nothing to save.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import fvcore.nn.weight_init as weight_init
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import FastRCNNConvFCHead
from torch import Tensor, nn

from pose_project.utils.errors import InputError


@dataclass(frozen=True)
class LinearSVD:
    """A fully connected layer as U Sigma V^T, in float64: decomposed once, cut at any rank.

    Attributes:
        u: (u, r) with orthonormal columns, r = min(u, v).
        sigma: (r,) singular values, not negative, in descending order.
        vt: (r, v) with orthonormal rows.
        bias: (u,), or None; as the layer has it.
    """

    u: Tensor
    sigma: Tensor
    vt: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, layer: nn.Linear) -> "LinearSVD":
        """Decompose a layer, which is left as it is.

        Raises:
            InputError: if a weight is infinite or NaN.
        """
        weight = layer.weight.detach().double()
        if not torch.isfinite(weight).all():
            raise InputError("a fully connected layer has weights that are infinite or NaN")
        # W^T = QR first: the 12544 inputs of fc1 then cost 6 s on one thread instead of 43
        q, r = torch.linalg.qr(weight.T)
        u, sigma, rotation = torch.linalg.svd(r.T, full_matrices=False)
        return cls(u, sigma, rotation @ q.T, None if layer.bias is None else layer.bias.detach())

    def energy(self, rank: int) -> float:
        """Return the share of the sum of squared singular values that is kept, 0 to 1.

        It is 1 - |W - W_t|^2 / |W|^2 in the Frobenius norm; 1 for weights that are all zero.
        """
        squares = self.sigma.square()
        total = squares.sum().item()
        return squares[:rank].sum().item() / total if total else 1.0

    def split(self, rank: int) -> nn.Sequential:
        """Return the two layers of rank t, in float32.

        Raises:
            InputError: if the rank is not in [1, min(u, v)].
        """
        (outputs, _), (_, inputs) = self.u.shape, self.vt.shape
        layers = low_rank_linear(inputs, outputs, rank, bias=self.bias is not None)
        layers.to(self.u.device)
        with torch.no_grad():
            layers.sigma_vt.weight.copy_(self.sigma[:rank, None] * self.vt[:rank])
            layers.u.weight.copy_(self.u[:, :rank])
            if self.bias is not None:
                layers.u.bias.copy_(self.bias)
        return layers


def check_rank(rank: int, inputs: int, outputs: int) -> None:
    """Raise ``InputError`` unless the rank is a whole number in [1, min(outputs, inputs)]."""
    highest = min(outputs, inputs)
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= highest:
        raise InputError(
            f"rank {rank} does not fit a layer of {inputs} inputs and {outputs} outputs; "
            f"it must be a whole number from 1 to {highest}"
        )


def low_rank_linear(inputs: int, outputs: int, rank: int, bias: bool = True) -> nn.Sequential:
    """Return two layers ``sigma_vt`` and ``u`` of random weights in the place of one.

    Each is initialised as the one would be, and so is their product: its variance is that of
    ``c2_xavier_fill`` for the one.

    Raises:
        InputError: if the rank is not in [1, min(outputs, inputs)].
    """
    check_rank(rank, inputs, outputs)
    sigma_vt, u = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=bias)
    for layer in (sigma_vt, u):
        weight_init.c2_xavier_fill(layer)
    return nn.Sequential(OrderedDict(sigma_vt=sigma_vt, u=u))


class LowRankBoxHead(FastRCNNConvFCHead):
    """Detectron2's box head with each fully connected layer split into two of a given rank.

    The parameters ``fcK.weight`` and ``fcK.bias`` become ``fcK.sigma_vt.weight``, ``fcK.u.weight``
    and ``fcK.u.bias``; all others keep their names. It trains like any other box head.

    Args:
        input_shape: shape of the pooled features, e.g. 256 x 7 x 7.
        conv_dims: output channels of the convolutions; often none.
        fc_dims: outputs of each fully connected layer.
        ranks: of each fully connected layer, in [1, min(outputs, inputs)].
        conv_norm: normalisation of the convolutions.

    Raises:
        InputError: if there is not one rank for each layer, or one is out of range.
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        conv_dims: Sequence[int],
        fc_dims: Sequence[int],
        ranks: Sequence[int],
        conv_norm: str = "",
    ) -> None:
        super().__init__(input_shape, conv_dims=conv_dims, fc_dims=fc_dims, conv_norm=conv_norm)
        if len(ranks) != len(self.fcs):
            raise InputError(
                f"{len(ranks)} ranks for {len(self.fcs)} fully connected layers; give one for each"
            )
        for index, rank in enumerate(ranks):
            full = self.fcs[index]
            self.fcs[index] = low_rank_linear(full.in_features, full.out_features, rank)
            setattr(self, f"fc{index + 1}", self.fcs[index])


def truncated_state_dict(
    box_head: FastRCNNConvFCHead, decomposed: Sequence[LinearSVD], ranks: Sequence[int]
) -> dict[str, Tensor]:
    """Return the weights of the ``LowRankBoxHead`` that is closest to a full box head.

    Args:
        box_head: what was decomposed; its convolutions are taken over.
        decomposed: one for each of ``box_head.fcs``.
        ranks: one for each of ``box_head.fcs``.

    Raises:
        InputError: if a rank is out of range.
    """
    state = dict(box_head.state_dict())
    for number, (svd, rank) in enumerate(zip(decomposed, ranks, strict=True), 1):
        for name in ("weight", "bias"):
            del state[f"fc{number}.{name}"]
        split = svd.split(rank).state_dict()
        state.update({f"fc{number}.{name}": value for name, value in split.items()})
    return state
