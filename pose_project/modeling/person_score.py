"""A learned score: how good a person's pose is, from what the keypoint head says of it.

AP of keypoints sorts people by their score. That of the box says whether somebody is there; whether
the pose is right it does not know. As Mask Scoring R-CNN (Huang et al., CVPR 2019) does for masks,
a small branch is taught the quality that the metric will measure, here OKS.

Legend: R people, K keypoints.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SMALLEST = 1e-6


class PointDistribution(Protocol):
    """Where a head thinks that each of (R, K) keypoints is; continuous coordinates, pixels."""

    def most_likely(self) -> Tensor:
        """Return (R, K, 2) as (x, y)."""

    def variances(self) -> Tensor:
        """Return (R, K, 2) along x and y in px^2."""

    def covariances(self) -> Tensor:
        """Return (R, K, 2, 2) in px^2."""

    def probability_within(self, points: Tensor, radii: Tensor) -> Tensor:
        """Return (R, K) probabilities of lying within (R, K) pixels of (R, K, 2) points."""

    def expected_similarity(self, points: Tensor, sigmas: Tensor, areas: Tensor) -> Tensor:
        """Return (R, K) expectations of OKS's term for points, (K,) sigmas and (R,) areas."""


class PersonScore(nn.Module):
    """From the distribution of a person's keypoints to the OKS that the pose will have.

    Two layers. For each keypoint they are told the OKS to be expected of its most likely place and
    the logarithm of its variance relative to the person. Nothing flows back into the head.

    Args:
        oks_sigmas: (K,) COCO's constants.
        width: of the hidden layer.
    """

    def __init__(self, oks_sigmas: Sequence[float], width: int = 64) -> None:
        super().__init__()
        self.register_buffer("sigmas", torch.tensor(list(oks_sigmas)), persistent=False)
        self.hidden = nn.Linear(2 * len(self.sigmas), width)
        self.oks = nn.Linear(width, 1)

    def forward(self, distribution: PointDistribution, areas: Tensor) -> Tensor:
        """Return (R,) logits of the OKS of everybody's most likely pose.

        Args:
            distribution: of the keypoints.
            areas: (R,) of the people, px^2.
        """
        points = distribution.most_likely()
        expected = distribution.expected_similarity(points, self.sigmas, areas)
        relative = distribution.variances().sum(dim=2) / areas.clamp(min=1)[:, None]
        told = torch.cat([expected, relative.clamp(min=_SMALLEST).log()], dim=1)
        return self.oks(F.relu(self.hidden(told)))[:, 0]


def person_oks(points: Tensor, keypoints: Tensor, sigmas: Tensor, areas: Tensor) -> Tensor:
    """Return (R,) OKS of predictions; 0 for people without a labelled keypoint.

    Args:
        points: (R, K, 2) predictions, pixels.
        keypoints: (R, K, 3) the truth as (x, y, v).
        sigmas: (K,) COCO's constants.
        areas: (R,) of the people, px^2.
    """
    labelled = keypoints[..., 2] > 0
    squared = (points - keypoints[..., :2]).square().sum(dim=2)
    terms = (-squared / (2 * (2 * sigmas) ** 2 * areas.clamp(min=1)[:, None])).exp()
    return (terms * labelled).sum(dim=1) / labelled.sum(dim=1).clamp(min=1)
