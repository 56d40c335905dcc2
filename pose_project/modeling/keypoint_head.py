"""The keypoint head: 14x14 features -> convolutions -> 28x28xK -> softmax over locations.

Legend: R instances of all images, K keypoints, S side of the heatmap (28 or 56).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from detectron2.structures import Instances
from detectron2.utils import comm
from torch import Tensor

from pose_project.modeling.decoding import decode_heatmaps
from pose_project.modeling.losses import encode_keypoints, keypoint_loss


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class SpatialSoftmaxKeypointHead(KRCNNConvDeconvUpsampleHead):
    """Detectron2's keypoint head with its layers and parameter names, and our loss and decoding.

    Against the stock head: the output size is a choice; loss and decoding run in float32 under
    autocast; heatmaps stay on ``Instances`` only when asked for; "visible" normalises by the
    visible keypoints of all processes; there is no state outside the module. Weights of the stock
    head load unchanged, and the results are the same.

    Args:
        input_shape: shape of the pooled features, e.g. 256 x 14 x 14.
        num_keypoints: K.
        conv_dims: output channels of each 3x3 convolution; eight times 512 in Mask R-CNN.
        up_scale: bilinear enlargement after the deconvolution: 1 gives the slides' 28x28 map, 2
            the 56x56 map of Mask R-CNN and of every published weight.
        loss_weight: factor of ``loss_keypoint``.
        loss_normalizer: ``"visible"``: divide by the number of visible keypoints in the batch;
            a number: divide by it times the number of images.
        keep_heatmaps: put ``pred_keypoint_heatmaps`` (R, K, S, S) on the predictions.
        topk_per_image: predict keypoints only for so many instances of each class in a photo, the
            best by score; the others' are zeros, with a score of 0. COCO scores 20. None: for all.

    Raises:
        ValueError: if ``up_scale`` is neither 1 nor 2, or ``topk_per_image`` is below 1.
    """

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_keypoints: int,
        conv_dims: list[int],
        up_scale: int = 2,
        loss_weight: float = 1.0,
        loss_normalizer: str | float = "visible",
        keep_heatmaps: bool = False,
        topk_per_image: int | None = None,
    ) -> None:
        if up_scale not in (1, 2):
            raise ValueError(f"up_scale must be 1 (28x28) or 2 (56x56), got {up_scale}")
        if topk_per_image is not None and topk_per_image < 1:
            raise ValueError(f"topk_per_image must be at least 1, got {topk_per_image}")
        super().__init__(
            input_shape,
            num_keypoints=num_keypoints,
            conv_dims=conv_dims,
            loss_weight=loss_weight,
            loss_normalizer=loss_normalizer,
        )
        self.up_scale = up_scale
        self.keep_heatmaps = keep_heatmaps
        self.topk_per_image = topk_per_image
        self.decoder: Callable[[Tensor, Tensor], Mapping[str, Tensor]] = decode_keypoints

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        """Read a yacs config; ``UP_SCALE`` is there after ``add_pose_config``."""
        arguments = super().from_config(cfg, input_shape)
        arguments["up_scale"] = cfg.MODEL.ROI_KEYPOINT_HEAD.get("UP_SCALE", 2)
        return arguments

    def forward(self, x: Tensor, instances: list[Instances]) -> dict[str, Tensor] | list[Instances]:
        """Return the loss in training, the instances with their keypoints otherwise.

        Args:
            x: (R, C, 14, 14) pooled features, the instances of all images in order.
            instances: one per image; in training with ``proposal_boxes`` and ``gt_keypoints``,
                otherwise with ``pred_boxes``.

        Returns:
            ``{"loss_keypoint": scalar}``, or the same instances with ``pred_keypoints``
            (R_i, K, 3) as (x, y, score), continuous coordinates of the network's input.
        """
        if self.training:
            return {"loss_keypoint": self.loss(self.layers(x), instances)}
        self.predict(instances, lambda kept: self.layers(x if kept is None else x[torch.cat(kept)]))
        return instances

    def predict(
        self, instances: list[Instances], logits_of: Callable[[list[Tensor] | None], Tensor]
    ) -> None:
        """Set the keypoints of the best of each photo, zeros on those beyond ``topk_per_image``.

        Args:
            instances: one per image, with ``pred_boxes``.
            logits_of: returns the (R, K, S, S) logits of the people of all photos in order; of
                those only for which the (R_i,) bool of each photo that it is given are true, or
                of everyone for None.
        """
        if self.topk_per_image is None:
            self.attach_keypoints(logits_of(None), instances)
            return
        kept = [_best_of_each_class(each, self.topk_per_image) for each in instances]
        best = [each[keep] for each, keep in zip(instances, kept, strict=True)]
        self.attach_keypoints(logits_of(kept), best)
        for each, keep, found in zip(instances, kept, best, strict=True):
            for name in found.get_fields().keys() - each.get_fields().keys():
                values = found.get(name)
                everyone = values.new_zeros(len(each), *values.shape[1:])
                everyone[keep] = values
                each.set(name, everyone)

    def layers(self, x: Tensor) -> Tensor:
        """Return the (R, K, S, S) logits of (R, C, 14, 14) features."""
        if self.up_scale != 1:
            return super().layers(x)
        for layer in self:
            x = layer(x)
        return x

    def loss(self, keypoint_logits: Tensor, instances: list[Instances]) -> Tensor:
        """Return the weighted keypoint loss of (R, K, S, S) logits."""
        labelled = [each for each in instances if len(each) > 0]
        if labelled:
            keypoints = torch.cat([each.gt_keypoints.tensor for each in labelled])
            boxes = torch.cat([each.proposal_boxes.tensor for each in labelled])
        else:
            keypoints = keypoint_logits.new_zeros(0, self.num_keypoints, 3)
            boxes = keypoint_logits.new_zeros(0, 4)
        targets, valid = encode_keypoints(keypoints, boxes, keypoint_logits.shape[-1])
        if self.loss_normalizer == "visible":
            normalizer = mean_count_over_processes(valid.sum())
        else:
            normalizer = self.loss_normalizer * len(instances)
        return self.loss_weight * keypoint_loss(keypoint_logits, targets, valid, normalizer)

    def attach_keypoints(self, keypoint_logits: Tensor, instances: list[Instances]) -> None:
        """Set what ``decoder`` makes of (R, K, S, S) logits on the instances they belong to.

        It is put where their boxes are: on the host if these have been read already.
        """
        boxes = torch.cat([each.pred_boxes.tensor for each in instances])
        fields = dict(self.decoder(keypoint_logits, boxes))
        if self.keep_heatmaps:
            fields["pred_keypoint_heatmaps"] = keypoint_logits.detach()
        counts = [len(each) for each in instances]
        for name, values in fields.items():
            on_boxes = values.to(boxes.device)
            for each, own in zip(instances, on_boxes.split(counts), strict=True):
                each.set(name, own)


def decode_keypoints(keypoint_logits: Tensor, boxes: Tensor) -> dict[str, Tensor]:
    """Return ``pred_keypoints`` (R, K, 3) as (x, y, score): the head's ``decoder`` if not told.

    Args:
        keypoint_logits: (R, K, S, S).
        boxes: (R, 4) XYXY_ABS, pixels, on the logits' device or on the host.
    """
    x, y, _, score = decode_heatmaps(keypoint_logits, boxes).unbind(dim=2)
    return {"pred_keypoints": torch.stack([x, y, score], dim=2)}


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


def mean_count_over_processes(count: Tensor) -> Tensor:
    """Return a count, at least one in total, averaged over all processes, as float32.

    DistributedDataParallel averages gradients over processes; with this as the divisor of a summed
    loss, a batch gives the same gradient however it is spread.
    """
    total = count.float()
    if comm.get_world_size() > 1:
        dist.all_reduce(total)
    return total.clamp(min=1) / comm.get_world_size()


def add_pose_config(cfg: CfgNode) -> None:
    """Add this project's keys to a yacs config, with the values that change nothing."""
    cfg.MODEL.ROI_KEYPOINT_HEAD.UP_SCALE = 2
