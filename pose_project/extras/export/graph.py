"""A Keypoint R-CNN as a function of tensors alone, which can be traced for any photo.

Detectron2's inference cannot be exported to ONNX: it passes ``Instances``, whose lengths Python
reads (a trace repeats the number it saw), and its decoding loops over people in Python. Here the
same layers, with the same weights, are called in the same order, but between them are only tensors
whose shapes may be anything, zero people included.

Legend: H, W size of the photo; h, w size after resizing; R proposals, N people, C classes.
"""

import copy
import logging

import torch
import torch.nn.functional as F
from detectron2.layers import ROIAlign
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.poolers import ROIPooler, assign_boxes_to_levels
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.roi_heads import FastRCNNOutputLayers, StandardROIHeads
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from detectron2.structures import Boxes
from torch import Tensor, nn
from torch.onnx.operators import shape_as_tensor
from torchvision.ops import nms

from pose_project.extras.export.graph_decoding import decode_in_graph
from pose_project.extras.export.resize_rule import ResizeRule
from pose_project.modeling.acceleration import fold_batchnorms
from pose_project.modeling.keypoint_predictions import KeypointPredictions, enlarge, region_scale_of
from pose_project.modeling.roi_heads import PoseROIHeads, predicts_masks
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra

logger = logging.getLogger(__name__)

OUTPUTS = ("boxes", "scores", "classes", "keypoints")


class PoseGraph(nn.Module):
    """A frozen copy of a model, from the pixels of one photo to its people.

    Args:
        model: a ``GeneralizedRCNN`` on the CPU, in evaluation mode; it is not changed.
        rule: how photos are resized.

    Raises:
        InputError: if the model is not one that this can repeat.
    """

    def __init__(self, model: GeneralizedRCNN, rule: ResizeRule) -> None:
        super().__init__()
        check_exportable(model)
        model = copy.deepcopy(model).eval().requires_grad_(False)
        fold_batchnorms(model)
        heads = model.roi_heads
        self.rule = rule
        self.is_rgb = model.input_format == "RGB"
        self.register_buffer("pixel_mean", model.pixel_mean)
        self.register_buffer("pixel_std", model.pixel_std)
        self.backbone, self.rpn = model.backbone, model.proposal_generator
        self.box_pooler, self.box_head = heads.box_pooler, heads.box_head
        self.box_in_features = heads.box_in_features
        self.box_predictor = heads.box_predictor
        self.keypoint_pooler, self.keypoint_head = heads.keypoint_pooler, heads.keypoint_head
        self.keypoint_in_features = heads.keypoint_in_features
        self.region_scale = region_scale_of(heads)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find the people in a photo.

        Args:
            image: (H, W, 3) uint8, BGR.

        Returns:
            boxes: (N, 4) float32 XYXY in continuous coordinates of the photo, inside of it.
            scores: (N,) float32 in (0, 1], descending.
            classes: (N,) int64.
            keypoints: (N, K, 3) float32 as (x, y, score), continuous coordinates of the photo;
                the score as that of ``decode_heatmaps``.
        """
        photo_hw = shape_as_tensor(image)[:2]
        size_hw = self.rule.size_of(photo_hw)
        pixels = self.rule.resize(image, size_hw)
        if self.is_rgb:
            pixels = pixels.flip(1)
        features = self.backbone(self._pad((pixels - self.pixel_mean) / self.pixel_std, size_hw))
        size_whwh = size_hw.flip(0).repeat(2).float()
        proposals = self._propose(features, size_whwh)
        boxes, scores, classes = self._detect(features, proposals, size_whwh)
        keypoints, oks = self._find_keypoints(features, boxes, classes)
        if oks is not None:  # a learned score
            scores = scores * oks
            order = scores.argsort(descending=True)
            boxes, scores, classes = boxes[order], scores[order], classes[order]
            keypoints = keypoints[order]
        return _in_photo(boxes, scores, classes, keypoints, photo_hw, size_whwh)

    def _pad(self, pixels: Tensor, size_hw: Tensor) -> Tensor:
        """Return (1, 3, H', W'), zeros to the right and below: ``ImageList.from_tensors``."""
        constraints = getattr(self.backbone, "padding_constraints", {})  # release 0.6 has none
        square = constraints.get("square_size", 0)
        multiple = max(constraints.get("size_divisibility", self.backbone.size_divisibility), 1)
        wanted = torch.full_like(size_hw, square) if square > 0 else size_hw
        wanted = (wanted + (multiple - 1)) // multiple * multiple
        below, right = (wanted - size_hw).unbind()
        if not torch.jit.is_tracing():
            below, right = int(below), int(right)
        padded = F.pad(pixels, (0, right, 0, below))
        return padded[:, :, :square, :square] if square > 0 else padded

    def _propose(self, features: dict[str, Tensor], size_whwh: Tensor) -> Tensor:
        """Return (R, 4) proposals, the best first: Detectron2's ``find_top_rpn_proposals``."""
        rpn = self.rpn
        maps = [features[name] for name in rpn.in_features]
        anchors = rpn.anchor_generator(maps)
        found = [
            self._propose_on_level(*level, size_whwh)
            for level in zip(*rpn.rpn_head(maps), [each.tensor for each in anchors], strict=True)
        ]
        boxes, logits = (torch.cat(each) for each in zip(*found, strict=True))
        return boxes[logits.argsort(descending=True)[: rpn.post_nms_topk[False]]]

    def _propose_on_level(
        self, logits: Tensor, deltas: Tensor, anchors: Tensor, size_whwh: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return boxes and logits of (1, A, h', w') logits and (1, 4 A, h', w') deltas."""
        rpn = self.rpn
        logits = logits.permute(0, 2, 3, 1).flatten()
        deltas = deltas[0].unflatten(0, (-1, 4)).permute(2, 3, 0, 1).reshape(-1, 4)
        count = shape_as_tensor(logits)[0].clamp(max=rpn.pre_nms_topk[False])
        logits, best = logits.topk(count if torch.jit.is_tracing() else int(count))
        boxes = rpn.box2box_transform.apply_deltas(deltas[best], anchors[best])
        boxes = _clip(boxes, size_whwh)
        keep = _has_sides_above(boxes, rpn.min_box_size)
        boxes, logits = boxes[keep], logits[keep]
        keep = nms(boxes, logits, rpn.nms_thresh)
        return boxes[keep], logits[keep]

    def _detect(
        self, features: dict[str, Tensor], proposals: Tensor, size_whwh: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (N, 4) boxes, (N,) scores and (N,) classes: Detectron2's ``fast_rcnn_inference``.

        Boxes are in the space of the resized photo, the best first.
        """
        predictor = self.box_predictor
        pooled = _pool(self.box_pooler, [features[f] for f in self.box_in_features], proposals)
        logits, deltas = predictor(self.box_head(pooled))
        is_sigmoid = getattr(predictor, "use_sigmoid_ce", False)  # release 0.6 has none
        scores = (logits.sigmoid() if is_sigmoid else logits.softmax(dim=1))[:, :-1]
        boxes = predictor.box2box_transform.apply_deltas(deltas, proposals)
        boxes = _clip(boxes.unflatten(1, (-1, 4)), size_whwh)
        boxes = boxes.expand(-1, predictor.num_classes, 4)
        is_person = scores > predictor.test_score_thresh
        if hasattr(predictor, "smallest_side"):  # torchvision's
            sides = boxes[..., 2:] - boxes[..., :2]
            is_person = is_person & (sides >= predictor.smallest_side).all(dim=2)
        proposal, classes = is_person.nonzero().unbind(dim=1)
        boxes, scores = boxes[proposal, classes], scores[proposal, classes]
        # classes far apart from each other do not suppress each other
        apart = classes[:, None] * (size_whwh.max() + 1)
        keep = nms(boxes + apart, scores, predictor.test_nms_thresh)
        if predictor.test_topk_per_image >= 0:
            keep = keep[: predictor.test_topk_per_image]
        return boxes[keep], scores[keep], classes[keep]

    def _find_keypoints(
        self, features: dict[str, Tensor], boxes: Tensor, classes: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return (N, K, 3) keypoints in the space of the boxes, zeros beyond ``topk_per_image``.

        And (N,) the OKS that a learned score expects, likewise; None without one.
        """
        topk = getattr(self.keypoint_head, "topk_per_image", None)  # only our heads have it
        if topk is None:
            return self._look_at(features, boxes)
        same_class_before = (classes[:, None] == classes).long().tril(-1).sum(dim=1)
        best = (same_class_before < topk).nonzero()[:, 0]
        points, oks = self._look_at(features, boxes[best])
        count = shape_as_tensor(boxes)[0]
        nothing = boxes.new_zeros(1, self.keypoint_head.num_keypoints, 3)
        points = nothing.repeat(count, 1, 1).index_put((best,), points)
        if oks is not None:
            oks = boxes.new_zeros(1).repeat(count).index_put((best,), oks)
        return points, oks

    def _look_at(self, features: dict[str, Tensor], boxes: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the same of (N, 4) boxes, all of which are looked at."""
        head = self.keypoint_head
        regions = enlarge(boxes, self.region_scale)
        maps = [features[f] for f in self.keypoint_in_features]
        outputs = head.layers(_pool(self.keypoint_pooler, maps, regions))
        is_heatmap = isinstance(head, KRCNNConvDeconvUpsampleHead)
        points = (decode_in_graph if is_heatmap else head.points)(outputs, regions)
        score = getattr(head, "person_score", None)
        return points, None if score is None else score.predict(head, outputs, regions)


def check_exportable(model: nn.Module) -> None:
    """Raise ``InputError`` for a model that has other parts than :class:`PoseGraph` repeats."""
    if type(model) is not GeneralizedRCNN:
        raise InputError(f"a {type(model).__name__} cannot be exported, only a GeneralizedRCNN")
    heads = model.roi_heads
    if type(model.proposal_generator) is not RPN:
        raise InputError(
            "a model without a region proposal network cannot be exported: its proposals would be "
            "a second input"
        )
    if type(heads) not in (StandardROIHeads, PoseROIHeads):
        raise InputError(f"{type(heads).__name__} cannot be exported, only StandardROIHeads")
    known = (KRCNNConvDeconvUpsampleHead, KeypointPredictions)
    if not isinstance(getattr(heads, "keypoint_head", None), known):
        raise InputError("the model has no keypoint head; only keypoint models can be exported")
    torchvision = find_extra("other_models.torchvision_rcnn")
    known = (FastRCNNOutputLayers, torchvision and torchvision.TorchvisionOutputLayers)
    if type(heads.box_predictor) not in known:
        raise InputError(f"a {type(heads.box_predictor).__name__} cannot be exported")
    for pooler in (heads.box_pooler, heads.keypoint_pooler):
        if not all(type(each) is ROIAlign for each in pooler.level_poolers):
            raise InputError("only pooling by ROIAlign can be exported")
    if predicts_masks(heads):
        logger.warning("The masks of this model are not exported.")


def _pool(pooler: ROIPooler, features: list[Tensor], boxes: Tensor) -> Tensor:
    """Return (R, channels, P, P) of (R, 4) boxes, each from the level of its size."""
    rois = F.pad(boxes, (1, 0))  # the number of the photo
    levels = assign_boxes_to_levels(
        [Boxes(boxes)],
        pooler.min_level,
        pooler.max_level,
        pooler.canonical_box_size,
        pooler.canonical_level,
    )
    rows = [(levels == level).nonzero()[:, 0] for level in range(len(features))]
    pooled = [
        align(each, rois[row])
        for align, each, row in zip(pooler.level_poolers, features, rows, strict=True)
    ]
    return torch.cat(pooled)[torch.cat(rows).argsort()]


def _clip(boxes: Tensor, size_whwh: Tensor) -> Tensor:
    return torch.minimum(boxes.clamp(min=0), size_whwh)


def _has_sides_above(boxes: Tensor, length: float) -> Tensor:
    return ((boxes[..., 2:] - boxes[..., :2]) > length).all(dim=-1)


def _in_photo(
    boxes: Tensor,
    scores: Tensor,
    classes: Tensor,
    keypoints: Tensor,
    photo_hw: Tensor,
    size_whwh: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return everything in the photo's coordinates: Detectron2's ``detector_postprocess``."""
    photo_whwh = photo_hw.flip(0).repeat(2).float()
    scale = photo_whwh / size_whwh
    boxes = _clip(boxes * scale, photo_whwh)
    xy, point_scores = keypoints.split([2, 1], dim=2)
    keypoints = torch.cat([xy * scale[:2], point_scores], dim=2)
    keep = _has_sides_above(boxes, 0.0)
    return boxes[keep], scores[keep], classes[keep], keypoints[keep]
