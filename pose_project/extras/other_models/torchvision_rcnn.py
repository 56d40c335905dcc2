"""The two parts of torchvision's R-CNN for which Detectron2 has no option."""

import torch
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.modeling.roi_heads.fast_rcnn import FastRCNNOutputLayers, fast_rcnn_inference
from detectron2.structures import Boxes, Instances
from torch import Tensor


class TorchvisionAnchorGenerator(DefaultAnchorGenerator):
    """Anchors of whole pixels, spaced by the size of the padded photo over that of the features.

    torchvision ``models/detection/anchor_utils.py``: ``generate_anchors`` rounds, ``forward``
    divides, rounding down. Where a feature map was rounded up, its stride is below the nominal one:
    a photo of 800 pixels has 13 cells at level p6, 61 pixels apart, not 64.
    """

    def generate_cell_anchors(
        self, sizes: tuple[float, ...], aspect_ratios: tuple[float, ...]
    ) -> Tensor:
        """Return (A, 4) XYXY around the origin, A sizes times aspect ratios."""
        return super().generate_cell_anchors(sizes, aspect_ratios).round()

    def forward(self, features: list[Tensor]) -> list[Boxes]:
        """Return the anchors of each level, (H * W * A, 4) in image coordinates.

        Args:
            features: (B, C, H, W) each, finest first; the photos' padding makes the finest exactly
                its stride smaller than the photos.
        """
        padded_hw = [side * self.strides[0] for side in features[0].shape[-2:]]
        anchors = []
        for feature, cell_anchors in zip(features, self.cell_anchors, strict=True):
            y, x = (
                torch.arange(side, device=cell_anchors.device) * (padded // side)
                for side, padded in zip(feature.shape[-2:], padded_hw, strict=True)
            )
            y, x = torch.meshgrid(y, x, indexing="ij")
            corners = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
            anchors.append(Boxes((corners + cell_anchors).reshape(-1, 4)))
        return anchors


class TorchvisionOutputLayers(FastRCNNOutputLayers):
    """Class scores and box deltas whose boxes without area are gone before suppression.

    torchvision ``models/detection/roi_heads.py``, ``postprocess_detections``: boxes with a side
    under 0.01 pixels after clipping are removed, then NMS and the limit on detections follow.
    Detectron2 removes them last, when they have taken places of others.
    """

    smallest_side = 1e-2

    def inference(
        self, predictions: tuple[Tensor, Tensor], proposals: list[Instances]
    ) -> tuple[list[Instances], list[Tensor]]:
        """Return the detections of each photo and the proposals that they come from."""
        boxes = self.predict_boxes(predictions, proposals)
        scores = [
            _without_small(*each, self.smallest_side)
            for each in zip(
                boxes, self.predict_probs(predictions, proposals), proposals, strict=True
            )
        ]
        return fast_rcnn_inference(
            boxes,
            scores,
            [each.image_size for each in proposals],
            self.test_score_thresh,
            self.test_nms_thresh,
            self.test_topk_per_image,
        )


def _without_small(
    boxes: Tensor, scores: Tensor, proposals: Instances, smallest_side: float
) -> Tensor:
    """Return (R, classes + 1) scores, 0 where a class's box in (R, classes * 4) is too small."""
    clipped = Boxes(boxes.reshape(-1, 4).clone())
    clipped.clip(proposals.image_size)
    sides = clipped.tensor[:, 2:] - clipped.tensor[:, :2]
    large = (sides >= smallest_side).all(dim=1).reshape(len(boxes), boxes.shape[1] // 4)
    return torch.cat([scores[:, :-1] * large, scores[:, -1:]], dim=1)
