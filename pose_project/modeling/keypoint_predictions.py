"""What the keypoint heads have in common: from what they compute to fields of ``Instances``.

Legend: R instances of all images, K keypoints.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from detectron2.structures import Boxes, Instances
from torch import Tensor, nn

from pose_project.modeling.losses import LabelledPeople, mean_count_over_processes
from pose_project.structures.oks import AREA_SHARE
from pose_project.utils.extras import need_extra


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


class KeypointPredictions(ABC):
    """A part of a keypoint head: calls its layers, sets what they say of people, adds up losses.

    ``region_scale`` is set by the ``PoseROIHeads`` that pool for the head. In training the
    ``proposal_boxes`` that the head is given are the enlarged regions already; in use it is given
    ``pred_boxes`` as they are.
    """

    region_scale: float = 1.0
    num_keypoints: int
    loss_normalizer: str | float

    def setup(
        self,
        topk_per_image: int | None,
        oks_sigmas: Sequence[float] | None,
        score_loss_weight: float,
        keep_heatmaps: bool = False,
    ) -> None:
        """Take what the heads have in common; see them for the arguments."""
        if topk_per_image is not None and topk_per_image < 1:
            raise ValueError(f"topk_per_image must be at least 1, got {topk_per_image}")
        if score_loss_weight and not oks_sigmas:
            raise ValueError("score_loss_weight needs oks_sigmas, one for each keypoint")
        if oks_sigmas and len(oks_sigmas) != self.num_keypoints:
            raise ValueError(f"{len(oks_sigmas)} oks_sigmas for {self.num_keypoints} keypoints")
        self.topk_per_image = topk_per_image
        self.keep_heatmaps = keep_heatmaps
        self.score_loss_weight = score_loss_weight
        self.person_score = None
        if score_loss_weight:
            learned = need_extra("refined_heads.person_score", "score_loss_weight needs")
            self.person_score = learned.PersonScore(oks_sigmas)
        self.decoder: Decoder = decode_keypoints

    @abstractmethod
    def layers(self, x: Tensor) -> Tensor:
        """Return what the head says of each person, R first."""

    @abstractmethod
    def points(self, outputs: Tensor, regions: Tensor) -> Tensor:
        """Return (R, K, 3) as (x, y, score), in the space of the (R, 4) regions, XYXY_ABS."""

    @abstractmethod
    def subpixel_points(self, outputs: Tensor, regions: Tensor) -> Tensor:
        """Return the same, placed between the cells of a heatmap where there is one."""

    @abstractmethod
    def distribution(self, outputs: Tensor, regions: Tensor) -> PointDistribution:
        """Return where the keypoints may be, in the space of the (R, 4) regions."""

    @abstractmethod
    def mirrored(self, outputs: Tensor, hflip_indices: Tensor) -> Tensor:
        """Return the outputs of mirrored people as they are where the photo is not mirrored."""

    @abstractmethod
    def losses(self, outputs: Tensor, people: LabelledPeople) -> dict[str, Tensor]:
        """Return the losses of the head itself."""

    def forward(self, x: Tensor, instances: list[Instances]) -> dict[str, Tensor] | list[Instances]:
        """Return the losses in training, the instances with their keypoints otherwise.

        Args:
            x: (R, C, 14, 14) pooled features, the instances of all images in order.
            instances: one per image; in training with ``proposal_boxes``, ``gt_boxes`` and
                ``gt_keypoints``, otherwise with ``pred_boxes``.

        Returns:
            A dict of scalars, such as ``loss_keypoint``; or the same instances with
            ``pred_keypoints`` (R_i, K, 3) as (x, y, score), continuous coordinates of the network's
            input.
        """
        if not self.training:
            self.predict(
                instances, lambda kept: self.layers(x if kept is None else x[torch.cat(kept)])
            )
            return instances
        outputs = self.layers(x)
        people = LabelledPeople(instances, self.num_keypoints)
        losses = self.losses(outputs, people)
        if self.person_score is not None:
            loss = self.person_score.loss(self, outputs, people)
            losses["loss_person_score"] = self.score_loss_weight * loss
        return losses

    def normalizer(self, valid: Tensor, num_images: int) -> Tensor | float:
        """Return what the sum over the (R, K) ``valid`` keypoints is divided by."""
        if self.loss_normalizer == "visible":
            return mean_count_over_processes(valid.sum())
        return self.loss_normalizer * num_images

    def areas_in(self, regions: Tensor) -> Tensor:
        """Return (R,) the area that the person in a region is taken to have, px^2."""
        sides = (regions[:, 2:] - regions[:, :2]).float() / self.region_scale
        return AREA_SHARE * sides.clamp(min=1).prod(dim=1)

    def predict(
        self, instances: list[Instances], outputs_of: Callable[[list[Tensor] | None], Tensor]
    ) -> None:
        """Set the keypoints of the best of each photo, zeros on those beyond ``topk_per_image``.

        Where people get a ``pred_oks``, their scores are multiplied by it and the list then holds
        each photo's people in the new order.

        Args:
            instances: one per image, with ``pred_boxes``.
            outputs_of: returns what the layers say of the people of all photos in order; of
                those only for which the (R_i,) bool of each photo that it is given are true, or
                of everyone for None.
        """
        if self.topk_per_image is None:
            self.attach_keypoints(outputs_of(None), instances)
        else:
            kept = [_best_of_each_class(each, self.topk_per_image) for each in instances]
            best = [each[keep] for each, keep in zip(instances, kept, strict=True)]
            self.attach_keypoints(outputs_of(kept), best)
            for each, keep, found in zip(instances, kept, best, strict=True):
                for name in found.get_fields().keys() - each.get_fields().keys():
                    values = found.get(name)
                    everyone = values.new_zeros(len(each), *values.shape[1:])
                    everyone[keep] = values
                    each.set(name, everyone)
        instances[:] = [_by_oks(each) for each in instances]

    def attach_keypoints(self, outputs: Tensor, instances: list[Instances]) -> None:
        """Set what ``decoder`` makes of the layers' outputs on the instances they belong to.

        It is put where their boxes are: on the host if these have been read already.
        """
        boxes = torch.cat([each.pred_boxes.tensor for each in instances])
        regions = enlarge(boxes, self.region_scale)
        fields = dict(self.decoder(self, outputs, regions))
        if self.person_score is not None:
            fields["pred_oks"] = self.person_score.predict(self, outputs, regions)
        if self.keep_heatmaps:
            fields["pred_keypoint_heatmaps"] = outputs.detach()
        counts = [len(each) for each in instances]
        for name, values in fields.items():
            on_boxes = values.to(boxes.device)
            for each, own in zip(instances, on_boxes.split(counts), strict=True):
                each.set(name, own)


Decoder = Callable[[KeypointPredictions, Tensor, Tensor], Mapping[str, Tensor]]
"""From a head, what its layers say and the (R, 4) regions to fields of ``Instances``."""


def decode_keypoints(
    head: KeypointPredictions, outputs: Tensor, regions: Tensor
) -> dict[str, Tensor]:
    """Return ``pred_keypoints`` (R, K, 3) as (x, y, score): the heads' ``decoder`` if not told.

    Args:
        head: whose outputs they are.
        outputs: of its layers, R first.
        regions: (R, 4) XYXY_ABS, pixels, on the outputs' device or on the host.
    """
    return {"pred_keypoints": head.points(outputs, regions)}


def _by_oks(instances: Instances) -> Instances:
    """Return people with scores multiplied by ``pred_oks``, the best first; or as they are."""
    if not instances.has("pred_oks"):
        return instances
    if instances.has("scores"):  # boxes that were given have none
        instances.scores = instances.scores * instances.pred_oks
        instances = instances[instances.scores.argsort(descending=True, stable=True)]
    instances.remove("pred_oks")
    return instances


def _best_of_each_class(instances: Instances, count: int) -> Tensor:
    """Return (R,) bool: whether fewer than ``count`` others of the same class score higher."""
    if not instances.has("scores"):  # boxes that were given
        return torch.ones(len(instances), dtype=torch.bool, device=instances.pred_boxes.device)
    scores, classes = instances.scores, instances.pred_classes
    index = torch.arange(len(instances), device=scores.device)
    is_before = (scores[:, None] < scores) | (
        (scores[:, None] == scores) & (index[:, None] > index)
    )
    return (is_before & (classes[:, None] == classes)).sum(dim=1) < count


def enlarge(boxes: Tensor, scale: float) -> Tensor:
    """Return (R, 4) boxes, XYXY_ABS, ``scale`` times as wide and high about the same centres.

    They may reach beyond the photo; 1 returns the boxes themselves, and ``1 / scale`` undoes it.
    """
    if scale == 1:
        return boxes
    grown = (boxes[:, 2:] - boxes[:, :2]) * ((scale - 1) / 2)
    return torch.cat([boxes[:, :2] - grown, boxes[:, 2:] + grown], dim=1)


def keypoint_regions(heads: nn.Module, boxes: list[Boxes]) -> list[Boxes]:
    """Return what ``heads`` pool the keypoint features of, a :class:`Boxes` for each photo."""
    return [Boxes(enlarge(each.tensor, region_scale_of(heads))) for each in boxes]


def region_scale_of(heads: nn.Module) -> float:
    """Return the factor of :func:`enlarge`: 1 for heads of Detectron2."""
    return getattr(heads, "region_scale", 1.0)
