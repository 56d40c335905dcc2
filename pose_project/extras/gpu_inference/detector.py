"""Detection whose shapes depend on the size of the photos alone, never on what is in them.

Detectron2 looks at intermediate results to know how many boxes are left, and the host waits for the
device each time. Here the numbers are fixed, places that nothing has taken are marked, and the host
reads the people of all photos once, at the end. That is also what CUDA graphs need.

Legend: B photos, L levels of features, A anchors of a level, N proposals of a photo, C classes,
D people of a photo at most.
"""

import torch
from detectron2.layers import ROIAlign
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, StandardROIHeads
from detectron2.structures import Boxes, Instances
from torch import Tensor, nn
from torch.nn import functional as F

from pose_project.extras.gpu_inference.parallel_nms import suppress
from pose_project.modeling.roi_heads import PoseROIHeads
from pose_project.utils.extras import find_extra

_NONE = -torch.inf  # the score of a place without a box
_MOST_SIZES = 32  # of photos, whose anchors are kept


def has_fixed_shape(model: nn.Module) -> bool:
    """Return whether a model consists of the parts that :class:`FixedShapeDetector` repeats."""
    if not isinstance(model, GeneralizedRCNN):
        return False
    rpn, heads = model.proposal_generator, model.roi_heads
    if type(rpn) is not RPN or type(heads) not in (StandardROIHeads, PoseROIHeads):
        return False
    predictor = heads.box_predictor
    torchvision = find_extra("other_models.torchvision_rcnn")
    return (
        type(predictor)
        in (FastRCNNOutputLayers, torchvision and torchvision.TorchvisionOutputLayers)
        and predictor.test_topk_per_image >= 0
        and not getattr(predictor, "use_sigmoid_ce", False)
        and isinstance(heads.box_pooler, ROIPooler)
        and all(type(each) is ROIAlign for each in heads.box_pooler.level_poolers)
    )


class FixedShapeDetector:
    """The proposals and boxes of a ``GeneralizedRCNN`` in a fixed number of kernels, no wait.

    The same people as Detectron2 finds, but for ties of equal scores among the anchors.

    Args:
        model: for which :func:`has_fixed_shape` is true; in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self.rpn, self.heads = model.proposal_generator, model.roi_heads
        self._anchors: dict[tuple[torch.Size, ...], list[Tensor]] = {}
        device = next(model.parameters()).device
        self._rpn_weights = torch.tensor(self.rpn.box2box_transform.weights, device=device)
        self._box_weights = torch.tensor(
            self.heads.box_predictor.box2box_transform.weights, device=device
        )

    def pooling_maps(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the features as ROIAlign's kernel on a GPU wants them: contiguous, float32."""
        names = set(self.heads.box_in_features)
        if self.heads.keypoint_on:
            names.update(self.heads.keypoint_in_features)
        return {
            name: each.to(torch.float32, memory_format=torch.contiguous_format)
            for name, each in features.items()
            if name in names
        }

    def __call__(
        self,
        features: dict[str, Tensor],
        maps: dict[str, Tensor],
        sizes_whwh: Tensor,
    ) -> Tensor:
        """Return the people of B photos.

        Args:
            features: of the backbone.
            maps: of :meth:`pooling_maps`.
            sizes_whwh: (B, 4) float32: width, height, width, height of each photo.

        Returns:
            (B, D, 6) float32 as (x0, y0, x1, y1, score, class), the best first; -inf as the score
            of the places that nobody has taken. All scores are NaN if a suppression did not settle
            and the photos have to be looked at in Detectron2's way.
        """
        boxes, is_proposal, is_settled = self._propose(features, sizes_whwh)
        people, is_settled_too = self._classify(maps, boxes, is_proposal, sizes_whwh)
        people[..., 4].masked_fill_(~(is_settled & is_settled_too), torch.nan)
        return people

    def _propose(
        self, features: dict[str, Tensor], sizes_whwh: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, N, 4) boxes, (B, N) whether there is one, and whether that is certain.

        Detectron2's ``RPN.predict_proposals``; only the best anchors are moved, not all.
        """
        rpn = self.rpn
        maps = [features[name] for name in rpn.in_features]
        anchors = self._anchors_of(maps)
        counts = [min(len(each), rpn.pre_nms_topk[False]) for each in anchors]
        most = max(counts)
        levels = []
        for logits, deltas, of_level, count in zip(
            *rpn.rpn_head(maps), anchors, counts, strict=True
        ):
            scores, best = logits.permute(0, 2, 3, 1).flatten(1).topk(count)
            deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
            deltas = deltas.gather(1, best[..., None].expand(-1, -1, 4))
            found = torch.cat([deltas.float(), of_level[best], scores[..., None].float()], dim=2)
            levels.append(F.pad(found, (0, 0, 0, most - count), value=_NONE))
        deltas, moved, scores = torch.stack(levels, dim=1).split([4, 4, 1], dim=3)
        scores = scores[..., 0]  # (B, L, most)
        boxes = _apply_deltas(deltas, moved, self._rpn_weights, rpn.box2box_transform.scale_clamp)
        is_finite = _is_finite(boxes).all(dim=3) & _is_finite(scores)
        boxes = _clip(boxes, sizes_whwh[:, None, None])
        is_candidate = is_finite & _has_sides_above(boxes, rpn.min_box_size)
        keep, is_settled = suppress(boxes.flatten(0, 1), is_candidate.flatten(0, 1), rpn.nms_thresh)
        scores = scores.masked_fill(~keep.view_as(scores), _NONE).flatten(1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        order = order[:, : rpn.post_nms_topk[False]]
        boxes = boxes.flatten(1, 2).gather(1, order[..., None].expand(-1, -1, 4))
        return boxes, scores[:, : order.shape[1]] > _NONE, is_settled

    def _anchors_of(self, maps: list[Tensor]) -> list[Tensor]:
        """Return (A, 4) anchors of each level, which depend on the shapes of the maps alone."""
        shapes = tuple(each.shape[-2:] for each in maps)
        anchors = self._anchors.get(shapes)
        if anchors is None:
            anchors = [each.tensor for each in self.rpn.anchor_generator(maps)]
            # never given up for others: a CUDA graph may hold on to them
            if len(self._anchors) < _MOST_SIZES:
                self._anchors[shapes] = anchors
        return anchors

    def _classify(
        self, maps: dict[str, Tensor], proposals: Tensor, is_proposal: Tensor, sizes_whwh: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (B, D, 6) people as described above, and whether they are certain.

        Detectron2's ``fast_rcnn_inference``.
        """
        heads, predictor = self.heads, self.heads.box_predictor
        shape = proposals.shape[:2]
        # what is not a proposal may hold any number; an empty box costs nothing
        proposals = proposals.masked_fill(~is_proposal[..., None], 0)
        pooled = pool_boxes(
            heads.box_pooler, [maps[name] for name in heads.box_in_features], with_index(proposals)
        )
        logits, deltas = predictor(heads.box_head(pooled))
        scores = logits.float().softmax(dim=1).view(*shape, -1)
        boxes = _apply_deltas(
            deltas.float().view(*shape, -1, 4),
            proposals[:, :, None],
            self._box_weights,
            predictor.box2box_transform.scale_clamp,
        )  # (B, N, C, 4), or one box for all classes
        is_finite = _is_finite(boxes).flatten(2).all(dim=2) & _is_finite(scores).all(dim=2)
        scores = scores[..., :-1]
        boxes = _clip(boxes, sizes_whwh[:, None, None])
        is_candidate = (is_finite & is_proposal)[..., None] & (scores > predictor.test_score_thresh)
        if hasattr(predictor, "smallest_side"):  # torchvision's
            is_candidate = is_candidate & _has_sides_from(boxes, predictor.smallest_side)
        scores = scores.masked_fill(~is_candidate, _NONE)
        boxes = boxes.expand(*scores.shape, 4)
        keep, is_settled = self._keep_best(boxes, scores, predictor.test_nms_thresh)
        scores = scores.masked_fill(~keep, _NONE).flatten(1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        order = order[:, : predictor.test_topk_per_image]
        boxes = boxes.flatten(1, 2).gather(1, order[..., None].expand(-1, -1, 4))
        classes = order % keep.shape[2]
        rest = torch.stack([scores[:, : order.shape[1]], classes.float()], dim=2)
        return torch.cat([boxes, rest], dim=2), is_settled

    def _keep_best(
        self, boxes: Tensor, scores: Tensor, iou_threshold: float
    ) -> tuple[Tensor, Tensor]:
        """Return (B, N, C) what suppression within each class keeps, and whether it is certain."""
        batch, count, num_classes = scores.shape
        boxes, scores = boxes.transpose(1, 2).flatten(0, 1), scores.transpose(1, 2).flatten(0, 1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
        keep, is_settled = suppress(boxes, scores > _NONE, iou_threshold)
        keep = torch.zeros_like(keep).scatter_(1, order, keep)
        return keep.view(batch, num_classes, count).transpose(1, 2), is_settled


def with_index(boxes: Tensor) -> Tensor:
    """Return (B * N, 5) boxes as ROIAlign takes them, the photo's number first, of (B, N, 4)."""
    index = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)
    index = index[:, None, None].expand(-1, boxes.shape[1], 1)
    return torch.cat([index, boxes], dim=2).flatten(0, 1)


def pool_boxes(pooler: ROIPooler, maps: list[Tensor], rois: Tensor) -> Tensor:
    """Return what a ``ROIPooler`` returns, without asking which boxes belong to which level.

    Every level pools all boxes, those of other levels without an area, which costs little.

    Args:
        pooler: with ``ROIAlign`` at every level.
        maps: (B, channels, height, width) each, contiguous.
        rois: (R, 5) as (number of the photo, x0, y0, x1, y1), pixels.

    Returns:
        (R, channels, P, P).
    """
    if len(maps) == 1:
        return pooler.level_poolers[0](maps[0], rois)
    area = (rois[:, 3:] - rois[:, 1:3]).prod(dim=1)
    # Lin et al., Feature Pyramid Networks, equation 1, as Detectron2 rounds it
    level = (area.sqrt() / pooler.canonical_box_size + 1e-8).log2() + pooler.canonical_level
    level = level.floor().clamp(pooler.min_level, pooler.max_level)
    numbers = torch.arange(pooler.min_level, pooler.max_level + 1, device=rois.device)
    is_here = (level == numbers[:, None])[..., None]  # (levels, R, 1)
    pooled = None
    for align, each, own, here in zip(
        pooler.level_poolers, maps, rois * is_here, is_here, strict=True
    ):
        of_level = align(each, own)
        pooled = of_level if pooled is None else of_level.where(here[..., None, None], pooled)
    return pooled


def read_people(found: Tensor, sizes_hw: list[tuple[int, int]]) -> list[Instances] | None:
    """Return the people of each photo, on the host; None if the suppression did not settle.

    Args:
        found: (B, D, 6) of :class:`FixedShapeDetector`, on the host.
        sizes_hw: of the photos.
    """
    if found[..., 4].isnan().any():
        return None
    people = []
    for rows, size_hw in zip(found, sizes_hw, strict=True):
        rows = rows[: int((rows[:, 4] > _NONE).sum())]
        people.append(
            Instances(
                size_hw,
                pred_boxes=Boxes(rows[:, :4].clone()),
                scores=rows[:, 4].clone(),
                pred_classes=rows[:, 5].long(),
            )
        )
    return people


def _apply_deltas(deltas: Tensor, boxes: Tensor, weights: Tensor, most: float) -> Tensor:
    """Return moved boxes, by the operations of Detectron2's ``Box2BoxTransform`` in their order."""
    size = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * size
    shift, growth = (deltas / weights).split(2, dim=-1)
    centre = shift * size + centre
    half = 0.5 * (growth.clamp(max=most).exp() * size)
    return torch.cat([centre - half, centre + half], dim=-1)


def _is_finite(x: Tensor) -> Tensor:
    return x.abs() < torch.inf  # as isfinite, in half the kernels


def _clip(boxes: Tensor, size_whwh: Tensor) -> Tensor:
    return boxes.clamp(min=0).minimum(size_whwh)


def _has_sides_above(boxes: Tensor, length: float) -> Tensor:
    return ((boxes[..., 2:] - boxes[..., :2]) > length).all(dim=-1)


def _has_sides_from(boxes: Tensor, length: float) -> Tensor:
    return ((boxes[..., 2:] - boxes[..., :2]) >= length).all(dim=-1)
