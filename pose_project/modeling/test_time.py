"""Better answers from the same weights, each a switch; what each gains is in docs/answers.md."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pose_project.modeling.keypoint_head import decode_keypoints
from pose_project.modeling.multi_view import MultiViewRCNN
from pose_project.modeling.oks_nms import oks_nms
from pose_project.modeling.spatial_softmax import SpatialSoftmax
from pose_project.modeling.subpixel import refine_by_taylor
from pose_project.structures import KeypointSchema
from pose_project.structures.oks import AREA_SHARE
from pose_project.utils.errors import InputError


class BetterAnswers(nn.Module):
    """A copy of a model that takes more time, or says more, about each photo.

    Args:
        model: a Detectron2 ``GeneralizedRCNN`` with this project's keypoint head; not changed.
        schema: of its keypoints.
        flip: average each person's heatmaps with those of the mirrored photo.
        scales: further sizes at which people are looked for, as factors of the photo that the
            model is given; heatmaps are averaged over them, too.
        subpixel: place keypoints between cells by :func:`refine_by_taylor`, instead of on the
            highest pixel of the enlarged map.
        temperature: make the keypoints' scores the probability of being within one sigma of the
            truth, d <= 2 sigma_k sqrt(area), and add ``pred_keypoint_covs`` (R, K, 2, 2) in px^2;
            None does not. 1.0 takes the softmax as it is; ``tools/analyze.py`` fits what makes
            the probabilities true.
        rescore: multiply the score of a person with the OKS that its heatmaps let expect.
        oks_nms: leave out people whose OKS with a better one is above this; 0 leaves out nobody.

    Raises:
        InputError: if a value is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        schema: KeypointSchema,
        *,
        flip: bool = False,
        scales: Sequence[float] = (),
        subpixel: bool = False,
        temperature: float | None = None,
        rescore: bool = False,
        oks_nms: float = 0.0,
    ) -> None:
        super().__init__()
        if temperature is not None and not temperature > 0:
            raise InputError(f"train.inference.answers.temperature must be > 0, got {temperature}")
        if not 0 <= oks_nms < 1:
            raise InputError(f"train.inference.answers.oks_nms must be in 0..1, got {oks_nms}")
        if not all(0.1 <= scale <= 10 for scale in scales):
            raise InputError(
                f"train.inference.answers.scales must be factors from 0.1 to 10, got {scales}"
            )
        model = copy.deepcopy(model)
        self.backbone = model.backbone
        model.roi_heads.keypoint_head.decoder = KeypointDecoder(
            schema, subpixel=subpixel, temperature=temperature, rescore=rescore
        )
        self.schema, self.rescore, self.oks_nms = schema, rescore, oks_nms
        self.model = MultiViewRCNN(model, schema, flip, scales) if flip or scales else model

    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the model returns, the best first; see the class for what is added."""
        outputs = self.model(batched_inputs)
        for given, output in zip(batched_inputs, outputs, strict=True):
            instances = output["instances"]
            if instances.has("pred_keypoint_covs"):
                height, width = given["image"].shape[-2:]
                new_height, new_width = instances.image_size
                factors = instances.pred_keypoint_covs.new_tensor(
                    [new_width / width, new_height / height]
                )
                instances.pred_keypoint_covs *= factors[:, None] * factors
            if self.rescore:
                instances.scores = instances.scores * instances.pred_oks
                instances.remove("pred_oks")
                instances = instances[instances.scores.argsort(descending=True, stable=True)]
            if self.oks_nms:
                instances = instances[oks_nms(instances, self.schema, self.oks_nms)]
            output["instances"] = instances
        return outputs


class KeypointDecoder:
    """From heatmaps to the fields of ``Instances``; what the keypoint head's ``decoder`` does.

    Args: as of :class:`BetterAnswers`.
    """

    def __init__(
        self, schema: KeypointSchema, *, subpixel: bool, temperature: float | None, rescore: bool
    ) -> None:
        self.sigmas = torch.tensor(schema.oks_sigmas)
        self.subpixel, self.temperature, self.rescore = subpixel, temperature, rescore

    def __call__(self, keypoint_logits: Tensor, boxes: Tensor) -> Mapping[str, Tensor]:
        """Return fields of R people.

        Args:
            keypoint_logits: (R, K, S, S).
            boxes: (R, 4) XYXY_ABS, pixels, on the logits' device or on the host.

        Returns:
            ``pred_keypoints`` (R, K, 3) as (x, y, score) and, where asked for,
            ``pred_keypoint_covs`` (R, K, 2, 2) in px^2 and ``pred_oks`` (R,).
        """
        keypoints = decode_keypoints(keypoint_logits, boxes)["pred_keypoints"]
        boxes = boxes.to(keypoint_logits.device, non_blocking=True)
        if self.subpixel:
            keypoints[..., :2] = refine_by_taylor(keypoint_logits, boxes)
        fields = {"pred_keypoints": keypoints}
        if self.temperature is None and not self.rescore:
            return fields
        softmax = SpatialSoftmax.of(keypoint_logits, boxes)
        points = keypoints[..., :2]
        sigmas = self.sigmas.to(boxes.device, non_blocking=True)
        areas = AREA_SHARE * (boxes[:, 2:] - boxes[:, :2]).float().clamp(min=1).prod(dim=1)
        if self.temperature is not None:
            radii = 2 * sigmas * areas.sqrt()[:, None]
            probability = softmax.probability_within(points, radii).clamp(0, 1)
            keypoints[..., 2] = (probability.logit(eps=1e-6) / self.temperature).sigmoid()
            fields["pred_keypoint_covs"] = softmax.covariances()
        if self.rescore:
            fields["pred_oks"] = softmax.expected_similarity(points, sigmas, areas).mean(dim=1)
        return fields
