"""A learned score: how good a person's pose is, from what the keypoint head says of it.

AP of keypoints sorts people by their score. That of the box says whether somebody is there; whether
the pose is right it does not know. As Mask Scoring R-CNN (Huang et al., CVPR 2019) does for masks,
a small branch is taught the quality that the metric will measure, here OKS.

Legend: R people, K keypoints.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pose_project.modeling.keypoint_predictions import KeypointPredictions, PointDistribution
from pose_project.modeling.losses import LabelledPeople, mean_count_over_processes

_SMALLEST = 1e-6


class PersonScore(nn.Module):
    """From the distribution of a person's keypoints to the OKS that the pose will have.

    Two layers. For each keypoint they are told the OKS to be expected of its most likely place and
    the logarithm of its variance relative to the person. Nothing flows back into the head.

    Args:
        oks_sigmas: (K,) COCO's constants.
        width: of the hidden layer.
    """

    last_layers = ("hidden", "oks")

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

    def predict(self, head: KeypointPredictions, outputs: Tensor, regions: Tensor) -> Tensor:
        """Return (R,) the OKS to be expected, in 0..1.

        Args:
            head: whose outputs they are.
            outputs: of its layers, R first.
            regions: (R, 4) XYXY_ABS, pixels, on the outputs' device or on the host.
        """
        regions = regions.to(outputs.device, non_blocking=True)
        distribution = head.distribution(outputs, regions)
        return self(distribution, head.areas_in(regions)).float().sigmoid()

    def loss(self, head: KeypointPredictions, outputs: Tensor, people: LabelledPeople) -> Tensor:
        """Return the cross-entropy between the OKS that is predicted and that there is."""
        distribution = head.distribution(outputs.detach(), people.regions)
        truth = person_oks(
            distribution.most_likely(), people.keypoints, self.sigmas, people.areas
        ).detach()
        logits = self(distribution, head.areas_in(people.regions))
        counted = people.labelled.any(dim=1)
        losses = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
        return losses.where(counted, 0).sum() / mean_count_over_processes(counted.sum())


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
