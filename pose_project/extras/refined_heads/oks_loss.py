"""A keypoint loss by the measure that scores, beside the cross-entropy of the heatmaps."""

from torch import Tensor

from pose_project.modeling.keypoint_head import SpatialSoftmaxKeypointHead
from pose_project.modeling.losses import LabelledPeople
from pose_project.modeling.spatial_softmax import SpatialSoftmax


def oks_loss(head: SpatialSoftmaxKeypointHead, outputs: Tensor, people: LabelledPeople) -> Tensor:
    """Return ``expected_oks_loss`` of a head's (R, K, S, S) logits."""
    softmax = head.distribution(outputs, people.regions)
    sigmas = outputs.new_tensor(head.oks_sigmas, dtype=people.areas.dtype)
    normalizer = head.normalizer(people.labelled, people.num_images)
    return expected_oks_loss(softmax, people.keypoints, sigmas, people.areas, normalizer)


def expected_oks_loss(
    softmax: SpatialSoftmax,
    keypoints: Tensor,
    sigmas: Tensor,
    areas: Tensor,
    normalizer: Tensor | float,
) -> Tensor:
    """Return the summed 1 - E[OKS's term] of the labelled keypoints, divided by ``normalizer``.

    The expectation is over the cells, of a point drawn from the softmax. Unlike the cross-entropy
    it tells a near miss from a far one, by the measure that scores, and it sees keypoints outside
    of the region, whose nearest cells it asks for.

    Args:
        softmax: of the (R, K, S, S) heatmaps.
        keypoints: (R, K, 3) as (x, y, v), in the space of the regions.
        sigmas: (K,) COCO's constants.
        areas: (R,) of the people, px^2.
        normalizer: positive number.

    Returns:
        Scalar float32, >= 0.
    """
    expected = softmax.expected_similarity(keypoints[..., :2], sigmas, areas.clamp(min=1))
    return (1 - expected).where(keypoints[..., 2] > 0, 0).sum() / normalizer
