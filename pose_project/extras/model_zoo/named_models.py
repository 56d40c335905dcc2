"""The published models: their names, what they reach, where their weights are.

Names, AP and licence of Detectron2's models are those of its MODEL_ZOO.md, section "COCO Person
Keypoint Detection Baselines with Keypoint R-CNN"; those of torchvision's are in
``torchvision.models.detection.KeypointRCNN_ResNet50_FPN_Weights``.
"""

from dataclasses import dataclass

from pose_project.extras.download.large_files import Published
from pose_project.utils.errors import InputError, did_you_mean

_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/COCO-Keypoints"
_DETECTRON2_LICENCE = "CC BY-SA 3.0"
_TORCHVISION = "https://download.pytorch.org/models"
_TORCHVISION_LICENCE = "not stated; code BSD-3-Clause"


@dataclass(frozen=True)
class NamedModel:
    """A published model.

    Attributes:
        name: as users type it.
        config: of the model, in ``configs/``.
        url: of its weights.
        published: what is known of the file; Detectron2 publishes neither size nor digest.
        box_ap: on COCO val2017, people, 0 to 100, as published.
        keypoint_ap: likewise.
        megabytes: about how large the file is, in 10^6 bytes.
        licence: of the weights.
        bn_eps: what torchvision's model adds to variances; None for weights of Detectron2.
    """

    name: str
    config: str
    url: str
    published: Published
    box_ap: float
    keypoint_ap: float
    megabytes: int
    licence: str
    bn_eps: float | None = None

    @property
    def source(self) -> str:
        """Who has trained and published it."""
        return "Detectron2" if self.bn_eps is None else "torchvision"


def _detectron2(
    name: str, file: str, box_ap: float, keypoint_ap: float, megabytes: int
) -> NamedModel:
    return NamedModel(
        name=name,
        config=f"{name}.py",
        url=f"{_DETECTRON2}/{file}",
        published=Published(),
        box_ap=box_ap,
        keypoint_ap=keypoint_ap,
        megabytes=megabytes,
        licence=_DETECTRON2_LICENCE,
    )


def _torchvision(
    name: str, digest: str, box_ap: float, keypoint_ap: float, bn_eps: float
) -> NamedModel:
    return NamedModel(
        name=name,
        config="torchvision_keypoint_rcnn_R50_FPN.py",
        url=f"{_TORCHVISION}/keypointrcnn_resnet50_fpn_coco-{digest}.pth",
        published=Published(digest=digest),  # torchvision checks these eight digits as well
        box_ap=box_ap,
        keypoint_ap=keypoint_ap,
        megabytes=237,
        licence=_TORCHVISION_LICENCE,
        bn_eps=bn_eps,
    )


MODELS = {
    each.name: each
    for each in (
        _detectron2(
            "keypoint_rcnn_R50_FPN_1x",
            "keypoint_rcnn_R_50_FPN_1x/137261548/model_final_04e291.pkl",
            *(53.6, 64.0, 237),
        ),
        _detectron2(
            "keypoint_rcnn_R50_FPN_3x",
            "keypoint_rcnn_R_50_FPN_3x/137849621/model_final_a6e10b.pkl",
            *(55.4, 65.5, 237),
        ),
        _detectron2(
            "keypoint_rcnn_R101_FPN_3x",
            "keypoint_rcnn_R_101_FPN_3x/138363331/model_final_997cc7.pkl",
            *(56.4, 66.1, 313),
        ),
        _detectron2(
            "keypoint_rcnn_X101_FPN_3x",
            "keypoint_rcnn_X_101_32x8d_FPN_3x/139686956/model_final_5ad38f.pkl",
            *(57.3, 66.0, 490),
        ),
        # keypointrcnn_resnet50_fpn adds 0 to the variances of COCO_V1, 1e-5 to those of others
        _torchvision("torchvision_COCO_V1", "fc266e95", 54.6, 65.0, bn_eps=0.0),
        _torchvision("torchvision_COCO_LEGACY", "9f466800", 50.6, 61.1, bn_eps=1e-5),
    )
}

DEFAULT = "keypoint_rcnn_R50_FPN_3x"


def find_model(name: str) -> NamedModel:
    """Return a model by its name, in any case.

    Raises:
        InputError: if there is none, with the name nearest to it.
    """
    by_lower = {each.lower(): model for each, model in MODELS.items()}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    near = did_you_mean(name, MODELS) or f"; there are {', '.join(MODELS)}"
    raise InputError(f"no model or folder of a run is called {name!r}{near}")
