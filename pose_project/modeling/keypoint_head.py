"""The keypoint head: 14x14 features -> convolutions -> 28x28xK -> softmax over locations.

Legend: R instances of all images, K keypoints, S side of the heatmap (28 or 56).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import ROI_KEYPOINT_HEAD_REGISTRY
from detectron2.modeling.roi_heads.keypoint_head import KRCNNConvDeconvUpsampleHead
from torch import Tensor, nn

from pose_project.modeling.decoding import decode_heatmaps
from pose_project.modeling.keypoint_predictions import KeypointPredictions
from pose_project.modeling.losses import LabelledPeople, encode_keypoints, keypoint_loss
from pose_project.modeling.spatial_softmax import SpatialSoftmax
from pose_project.utils.extras import find_extra, find_in_extras, need_extra


@ROI_KEYPOINT_HEAD_REGISTRY.register()
class SpatialSoftmaxKeypointHead(KeypointPredictions, KRCNNConvDeconvUpsampleHead):
    """Detectron2's keypoint head with its layers and parameter names, and our loss and decoding.

    Against the stock head: the output size is a choice; loss and decoding run in float32 under
    autocast; heatmaps stay on ``Instances`` only when asked for; "visible" normalises by the
    visible keypoints of all processes; there is no state outside the module. Weights of the stock
    head load unchanged, and the results are the same. What else can be switched on is measured in
    docs/refined.md.

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
        oks_sigmas: (K,) COCO's constants; the two weights below need them, and the extra
            ``refined_heads``.
        oks_loss_weight: factor of ``loss_keypoint_oks``; 0: without.
        score_loss_weight: factor of ``loss_person_score``. Above 0 a branch learns the OKS of each
            person, by which scores are multiplied.

    Raises:
        ValueError: if ``up_scale`` is neither 1 nor 2, ``topk_per_image`` is below 1, or
            ``oks_sigmas`` are needed and missing.
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
        oks_sigmas: Sequence[float] | None = None,
        oks_loss_weight: float = 0.0,
        score_loss_weight: float = 0.0,
    ) -> None:
        if up_scale not in (1, 2):
            raise ValueError(f"up_scale must be 1 (28x28) or 2 (56x56), got {up_scale}")
        if oks_loss_weight and not oks_sigmas:
            raise ValueError("oks_loss_weight needs oks_sigmas, one for each keypoint")
        super().__init__(
            input_shape,
            num_keypoints=num_keypoints,
            conv_dims=conv_dims,
            loss_weight=loss_weight,
            loss_normalizer=loss_normalizer,
        )
        self.up_scale = up_scale
        self.oks_sigmas, self.oks_loss_weight = oks_sigmas, oks_loss_weight
        self.oks_loss = None
        if oks_loss_weight:
            extra = need_extra("refined_heads.oks_loss", "oks_loss_weight needs")
            self.oks_loss = extra.oks_loss
        self.setup(topk_per_image, oks_sigmas, score_loss_weight, keep_heatmaps)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> dict[str, Any]:
        """Read a yacs config; ``UP_SCALE`` is there after ``add_pose_config``."""
        arguments = super().from_config(cfg, input_shape)
        arguments["up_scale"] = cfg.MODEL.ROI_KEYPOINT_HEAD.get("UP_SCALE", 2)
        return arguments

    def layers(self, x: Tensor) -> Tensor:
        """Return the (R, K, S, S) logits of (R, C, 14, 14) features."""
        x = self.trunk(x)
        if self.up_scale == 1:
            return x
        return F.interpolate(x, scale_factor=self.up_scale, mode="bilinear", align_corners=False)

    def trunk(self, x: Tensor) -> Tensor:
        """Return (R, K, 28, 28) of (R, C, 14, 14) features."""
        for _, layer in self.stock_layers():
            x = layer(x)
        return x

    def stock_layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the layers that the stock head has, in its order."""
        names = ("conv_fcn", "score_lowres")
        return (each for each in self.named_children() if each[0].startswith(names))

    def losses(self, outputs: Tensor, people: LabelledPeople) -> dict[str, Tensor]:
        """Return the weighted losses of (R, K, S, S) logits."""
        targets, valid = encode_keypoints(people.keypoints, people.regions, outputs.shape[-1])
        normalizer = self.normalizer(valid, people.num_images)
        loss = keypoint_loss(outputs, targets, valid, normalizer)
        losses = {"loss_keypoint": self.loss_weight * loss}
        if self.oks_loss is not None:
            loss = self.oks_loss(self, outputs, people)
            losses["loss_keypoint_oks"] = self.oks_loss_weight * loss
        return losses

    def points(self, outputs: Tensor, regions: Tensor) -> Tensor:
        """Return (R, K, 3) as (x, y, score) of (R, K, S, S) logits, see ``decode_heatmaps``."""
        x, y, _, score = decode_heatmaps(outputs, regions).unbind(dim=2)
        return torch.stack([x, y, score], dim=2)

    def subpixel_points(self, outputs: Tensor, regions: Tensor) -> Tensor:
        """Return the same between the cells, see the extra ``test_time``."""
        between = find_extra("test_time.subpixel")
        points = self.points(outputs, regions)
        regions = regions.to(outputs.device, non_blocking=True)
        points[..., :2] = between.refine_by_taylor(outputs, regions)
        return points

    def distribution(self, outputs: Tensor, regions: Tensor) -> SpatialSoftmax:
        """Return the softmax over the cells of (R, K, S, S) logits."""
        return SpatialSoftmax.of(outputs, regions)

    def mirrored(self, outputs: Tensor, hflip_indices: Tensor) -> Tensor:
        """Return heatmaps of mirrored people as they are where the photo is not mirrored."""
        return outputs.index_select(1, hflip_indices).flip(-1)


def add_pose_config(cfg: CfgNode) -> None:
    """Add this project's keys to a yacs config, with the values that change nothing.

    The heads of extras are then in Detectron2's registries, too.
    """
    find_in_extras("keypoint_heads")
    cfg.MODEL.ROI_KEYPOINT_HEAD.UP_SCALE = 2
    cfg.MODEL.ROI_KEYPOINT_HEAD.REGION_SCALE = 1.0
    cfg.MODEL.ROI_MASK_HEAD.ONLY_TEACHES = False
