"""A keypoint head that regresses coordinates by their likelihood, instead of a heatmap.

Residual log-likelihood estimation (RLE; Li et al., arXiv 2107.11291): of each coordinate the head
says a mean and a scale; what the distribution of the error around them looks like is learned as
well, by a normalising flow that only training needs.

Legend: R people, K keypoints.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import Conv2d, ShapeSpec
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.modeling.roi_heads.keypoint_head import BaseKeypointRCNNHead
from torch import Tensor, nn

from pose_project.modeling.keypoint_predictions import KeypointPredictions
from pose_project.modeling.losses import LabelledPeople

_FLOW_WIDTH, _FLOW_LAYERS = 64, 6
_SMALLEST_SCALE = 1e-3  # of the region
_CELLS = 7  # along each side of the region that coordinates are regressed from


class ErrorFlow(nn.Module):
    """The density of errors in units of their scale, a RealNVP over a standard normal.

    Each layer moves and stretches one coordinate by what the other one is; the two take turns
    (section 4 of the paper: small multi-layer perceptrons of 64 units).
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(1, _FLOW_WIDTH),
                nn.LeakyReLU(),
                nn.Linear(_FLOW_WIDTH, _FLOW_WIDTH),
                nn.LeakyReLU(),
                nn.Linear(_FLOW_WIDTH, 2),
            )
            for _ in range(_FLOW_LAYERS)
        )

    def log_density(self, errors: Tensor) -> Tensor:
        """Return (M,) logarithms of the density at (M, 2) errors."""
        first, second = errors.unbind(dim=1)
        stretched = torch.zeros_like(first)
        for step in self.steps:
            shift, stretch = step(first[:, None]).unbind(dim=1)
            stretch = stretch.tanh()
            first, second = (second - shift) * (-stretch).exp(), first
            stretched = stretched + stretch
        return -(first**2 + second**2) / 2 - math.log(2 * math.pi) - stretched


class ScaledPoints(NamedTuple):
    """Keypoints with a variance along x and y, as normal distributions.

    Attributes:
        xy: (R, K, 2) continuous coordinates, pixels.
        squares: (R, K, 2) variances, px^2.
    """

    xy: Tensor
    squares: Tensor

    def most_likely(self) -> Tensor:
        """Return (R, K, 2) as (x, y)."""
        return self.xy

    def variances(self) -> Tensor:
        """Return (R, K, 2) along x and y in px^2."""
        return self.squares

    def covariances(self) -> Tensor:
        """Return (R, K, 2, 2) in px^2."""
        return self.squares.diag_embed()

    def probability_within(self, points: Tensor, radii: Tensor) -> Tensor:
        """Return (R, K) probabilities of being within (R, K) pixels of (R, K, 2) points.

        Exact for equal variances and points at the mean; otherwise with the mean square distance.
        """
        squared = (points - self.xy).square().sum(dim=2)
        spread = self.squares.mean(dim=2) + squared / 2
        return 1 - (-(radii**2) / (2 * spread)).exp()

    def expected_similarity(self, points: Tensor, sigmas: Tensor, areas: Tensor) -> Tensor:
        """Return (R, K) expectations of OKS's term for points, (K,) sigmas and (R,) areas."""
        kernel = ((2 * sigmas) ** 2 * areas.clamp(min=1)[:, None])[..., None]
        squared = (points - self.xy).square()
        total = kernel + self.squares
        return ((kernel / total).sqrt() * (-squared / (2 * total)).exp()).prod(dim=2)


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class LikelihoodKeypointHead(KeypointPredictions, BaseKeypointRCNNHead, nn.Sequential):
    """The convolutions of Mask R-CNN's head, and one linear layer for four numbers each.

    The linear layer sees 7x7 cells. The paper's sees the mean over the person, whose network looks
    at the whole person before; these convolutions do not, and their mean has lost where things are.
    A keypoint's score is 1 - the mean of its two scales, as in the paper. The convolutions load
    from the stock head's weights.

    Args:
        input_shape: shape of the pooled features.
        num_keypoints: K.
        conv_dims: output channels of each 3x3 convolution.
        loss_weight: factor of ``loss_keypoint``.
        loss_normalizer: as in ``SpatialSoftmaxKeypointHead``.
        topk_per_image: likewise.
        oks_sigmas: (K,) COCO's constants; ``score_loss_weight`` needs them.
        score_loss_weight: factor of ``loss_person_score``, likewise.
    """

    only_in_training = ("flow",)
    last_layers = ("coordinates",)

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_keypoints: int,
        conv_dims: list[int],
        loss_weight: float = 1.0,
        loss_normalizer: str | float = "visible",
        topk_per_image: int | None = None,
        oks_sigmas: Sequence[float] | None = None,
        score_loss_weight: float = 0.0,
    ) -> None:
        super().__init__(
            num_keypoints=num_keypoints, loss_weight=loss_weight, loss_normalizer=loss_normalizer
        )
        channels = input_shape.channels
        for number, width in enumerate(conv_dims, start=1):
            conv = Conv2d(channels, width, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)
            self.add_module(f"conv_fcn{number}", conv)
            self.add_module(f"conv_fcn_relu{number}", nn.ReLU())
            channels = width
        self.coordinates = nn.Linear(channels * _CELLS**2, 4 * num_keypoints)
        nn.init.xavier_uniform_(self.coordinates.weight, gain=0.01)  # everything at the centre
        nn.init.zeros_(self.coordinates.bias)
        self.flow = ErrorFlow()
        self.setup(topk_per_image, oks_sigmas, score_loss_weight)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict:
        """Read a yacs config."""
        arguments = super().from_config(cfg, input_shape)
        return {
            **arguments,
            "input_shape": input_shape,
            "conv_dims": cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS,
        }

    def layers(self, x: Tensor) -> Tensor:
        """Return (R, K, 4): x and y from the region's centre and their scales, in its sides."""
        for name, layer in self.named_children():
            if name.startswith("conv_fcn"):
                x = layer(x)
        cells = nn.functional.adaptive_avg_pool2d(x, _CELLS).flatten(1)
        numbers = self.coordinates(cells).unflatten(1, (self.num_keypoints, 4)).float()
        means, scales = numbers.split(2, dim=2)
        return torch.cat([means, scales.sigmoid().clamp(min=_SMALLEST_SCALE)], dim=2)

    def losses(self, outputs: Tensor, people: LabelledPeople) -> dict[str, Tensor]:
        """Return the weighted negative log-likelihood, equation 8 of the paper.

        The density is the flow's times a Laplace distribution's, both of the error in its scale.
        """
        corner, sides = people.regions[:, None, :2], _sides_of(people.regions)
        truth = (people.keypoints[..., :2] - corner) / sides - 0.5
        means, scales = outputs.split(2, dim=2)
        errors = ((truth - means) / scales)[people.labelled]
        with torch.autocast(outputs.device.type, enabled=False):
            flow = self.flow.log_density(errors)
        laplace = -errors.abs().sum(dim=1) - 2 * math.log(2)
        stretch = scales.log().sum(dim=2)[people.labelled]
        normalizer = self.normalizer(people.labelled, people.num_images)
        loss = (stretch - flow - laplace).sum() / normalizer
        return {"loss_keypoint": self.loss_weight * loss}

    def points(self, outputs: Tensor, regions: Tensor) -> Tensor:
        """Return (R, K, 3) as (x, y, score)."""
        xy = self.distribution(outputs, regions).xy
        score = 1 - outputs[..., 2:].mean(dim=2, keepdim=True)
        return torch.cat([xy, score], dim=2)

    subpixel_points = points  # coordinates know of no pixels

    def distribution(self, outputs: Tensor, regions: Tensor) -> ScaledPoints:
        """Return means and variances, those of the Laplace distribution, in pixels."""
        regions = regions.to(outputs.device, non_blocking=True)
        sides = _sides_of(regions)
        means, scales = outputs.float().split(2, dim=2)
        return ScaledPoints(
            regions[:, None, :2] + (means + 0.5) * sides, 2 * (scales * sides).square()
        )

    def mirrored(self, outputs: Tensor, hflip_indices: Tensor) -> Tensor:
        """Return outputs of mirrored people as they are where the photo is not mirrored."""
        return outputs.index_select(1, hflip_indices) * outputs.new_tensor([-1, 1, 1, 1])


def _sides_of(regions: Tensor) -> Tensor:
    """Return (R, 1, 2) widths and heights, at least a pixel."""
    return (regions[:, None, 2:] - regions[:, None, :2]).float().clamp(min=1)
