"""What a trained model can do better at test time; gains and costs are in docs/test_time.md."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pose_project.config.settings import setting
from pose_project.modeling.keypoint_predictions import KeypointPredictions
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra, need_extra


@dataclass
class TestTimeSettings:
    """``train.inference.test_time``: what the same weights can do better, each by itself.

    What each gains and costs is in docs/test_time.md.
    """

    __test__ = False  # pytest takes classes named Test* for tests

    flip: bool = setting(False, "Average each person's heatmaps with those of the mirrored photo.")
    scales: list[float] = setting(
        [],
        "Look for people at these sizes as well, factors of the photo's, such as [0.7, 1.4], and "
        "average heatmaps over them.",
        low=0.1,
        high=10,
    )
    subpixel: bool = setting(
        False,
        "Place keypoints between the cells of the heatmap, by a Taylor expansion, instead of on "
        "the highest pixel of the enlarged map.",
    )
    temperature: float | None = setting(
        None,
        "Keypoint scores become probabilities of being within one sigma, and covariances come "
        "along: 1.0, or the temperature that the report has fitted; null: neither.",
        low=1e-3,
        high=1e3,
    )
    rescore: bool = setting(
        False, "Multiply people's scores with the OKS that their heatmaps let expect."
    )
    oks_nms: float = setting(
        0.0,
        "Leave out people whose OKS with a better one is above this; 0: nobody.",
        low=0,
        below=1,
    )


class TestTimeModel(nn.Module):
    """A copy of a model that takes more time, or says more, about each photo.

    With ``temperature`` set, a keypoint's score is the probability that it lies within one sigma of
    the truth, d <= 2 sigma_k sqrt(area), and ``pred_keypoint_covs`` (R, K, 2, 2) in px^2 are added.

    Args:
        model: a Detectron2 ``GeneralizedRCNN`` with this project's keypoint head; not changed.
        schema: of its keypoints.
        settings: what to do.

    Raises:
        InputError: if ``rescore`` is set for a model that has learned a score, or what is asked for
            needs an extra that was removed.
    """

    __test__ = False

    def __init__(
        self, model: nn.Module, schema: KeypointSchema, settings: TestTimeSettings
    ) -> None:
        super().__init__()
        if settings.flip or settings.scales or settings.subpixel or settings.oks_nms:
            need_extra("test_time", "flip, scales, subpixel and oks_nms need")
        model = copy.deepcopy(model)
        if settings.rescore and model.roi_heads.keypoint_head.person_score is not None:
            raise InputError(
                "train.inference.test_time.rescore is for models without a learned score: this one "
                "ranks people by the OKS that it has learned"
            )
        self.backbone = model.backbone
        model.roi_heads.keypoint_head.decoder = KeypointDecoder(schema, settings)
        self.schema, self.settings = schema, settings
        if settings.flip or settings.scales:
            views = find_extra("test_time.multi_view")
            model = views.MultiViewRCNN(model, schema, settings.flip, settings.scales)
        self.model = model
        self.suppress = find_extra("test_time.oks_nms").oks_nms if settings.oks_nms else None

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
            if self.suppress:
                instances = instances[self.suppress(instances, self.schema, self.settings.oks_nms)]
            output["instances"] = instances
        return outputs


class KeypointDecoder:
    """From heatmaps to the fields of ``Instances``; what the keypoint head's ``decoder`` does.

    Args:
        schema: of the keypoints.
        settings: of which ``subpixel``, ``temperature`` and ``rescore`` are read.
    """

    def __init__(self, schema: KeypointSchema, settings: TestTimeSettings) -> None:
        self.sigmas = torch.tensor(schema.oks_sigmas)
        self.settings = settings

    def __call__(
        self, head: KeypointPredictions, outputs: Tensor, regions: Tensor
    ) -> Mapping[str, Tensor]:
        """Return fields of R people.

        Args:
            head: whose outputs they are.
            outputs: of its layers: (R, K, S, S) logits of heatmaps, or (R, K, 4).
            regions: (R, 4) XYXY_ABS, pixels, on the outputs' device or on the host.

        Returns:
            ``pred_keypoints`` (R, K, 3) as (x, y, score) and, where asked for,
            ``pred_keypoint_covs`` (R, K, 2, 2) in px^2 and ``pred_oks`` (R,).
        """
        points_of = head.subpixel_points if self.settings.subpixel else head.points
        keypoints = points_of(outputs, regions)
        regions = regions.to(outputs.device, non_blocking=True)
        fields = {"pred_keypoints": keypoints}
        temperature, rescore = self.settings.temperature, self.settings.rescore
        if temperature is None and not rescore:
            return fields
        distribution = head.distribution(outputs, regions)
        points = keypoints[..., :2]
        sigmas = self.sigmas.to(regions.device, non_blocking=True)
        areas = head.areas_in(regions)
        if temperature is not None:
            radii = 2 * sigmas * areas.sqrt()[:, None]
            probability = distribution.probability_within(points, radii).clamp(0, 1)
            keypoints[..., 2] = (probability.logit(eps=1e-6) / temperature).sigmoid()
            fields["pred_keypoint_covs"] = distribution.covariances()
        if rescore:
            expected = distribution.expected_similarity(points, sigmas, areas)
            fields["pred_oks"] = expected.mean(dim=1)
        return fields
