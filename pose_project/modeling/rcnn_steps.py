"""The steps of a ``GeneralizedRCNN`` in use, for whoever takes them one by one."""

from typing import Any

from detectron2.structures import ImageList, Instances
from torch import Tensor, nn

from pose_project.utils.private_api import find_boxes


def preprocess(model: nn.Module, batched_inputs: list[dict[str, Any]]) -> ImageList:
    """Return the normalised and padded photos; the host goes on while they are copied."""
    return model.preprocess_image(
        [{"image": each["image"].to(model.device, non_blocking=True)} for each in batched_inputs]
    )


def detect(model: nn.Module, images: ImageList, features: dict[str, Tensor]) -> list[Instances]:
    """Return the boxes of each photo as Detectron2 finds them."""
    proposals, _ = model.proposal_generator(images, features, None)
    return find_boxes(model.roi_heads, features, proposals)
