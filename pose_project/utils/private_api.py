"""The private parts of Detectron2 and PyTorch that this project relies on, and why.

Nothing promises that they stay. ``tests/utils/test_private_api.py`` shows what breaks when one of
them changes, and that no other module uses one.
"""

from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from detectron2.data import detection_utils
from detectron2.structures import ImageList, Instances
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:  # slow to import, and whoever has a model has imported them
    from detectron2.modeling import GeneralizedRCNN
    from detectron2.modeling.roi_heads import StandardROIHeads

INHERITED = {
    "detectron2.modeling.roi_heads.StandardROIHeads": {
        "_forward_keypoint": "pools and calls the keypoint head; ours pools enlarged boxes",
        "_forward_mask": "likewise for masks; ours leaves out people without one",
    },
    "detectron2.engine.DefaultTrainer": {
        "_trainer": "takes the steps; model, optimizer and loader of a trainer are its",
    },
    "detectron2.engine.SimpleTrainer": {
        "_data_loader_iter": "yields the batches; release main makes it when it is first read",
    },
    "detectron2.evaluation.COCOEvaluator": {
        "_predictions": "emptied by reset(), before an evaluation starts",
    },
    "detectron2.checkpoint.DetectionCheckpointer": {
        "_load_file": "reads what load() has fetched; ours reads it as data only",
        "_load_model": "fills the model; ours refuses weights that do not fit",
        "_parsed_url_during_load": "the address with its query, while load() runs; 0.6 has none",
    },
}
"""Members of Detectron2's classes that subclasses here read, set or override."""


def shared_storage(num_bytes: int) -> torch.UntypedStorage:
    """Return new memory that other processes can map.

    The public ``share_memory_`` copies what is there into new memory; a batch is written once.
    """
    return torch.UntypedStorage._new_shared(num_bytes)


def default_store() -> dist.Store:
    """Return the store of the process group; there is no public way to it."""
    return dist.distributed_c10d._get_default_store()


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its EXIF data say, exactly as Detectron2's ``read_image`` does.

    Pillow's own ``exif_transpose`` raises for damaged EXIF data, which Detectron2 ignores.
    """
    return detection_utils._apply_exif_orientation(image)


def find_boxes(
    heads: "StandardROIHeads", features: dict[str, Tensor], proposals: list[Instances]
) -> list[Instances]:
    """Return the boxes of each image, without the keypoints that ``heads`` would add at once.

    Args:
        heads: in evaluation mode.
        features: of the backbone, by level.
        proposals: of the region proposal network, an image each.
    """
    return heads._forward_box(features, proposals)


def add_masks(
    heads: "StandardROIHeads", features: dict[str, Tensor], instances: list[Instances]
) -> list[Instances]:
    """Return boxes with the masks of ``heads``, without keypoints; as they are if it has none."""
    return heads._forward_mask(features, instances)


def to_original_size(
    model: "GeneralizedRCNN", instances: list[Instances], inputs: list[dict], images: ImageList
) -> list[dict[str, Instances]]:
    """Return what a model returns: people in the pixels of the images before they were resized."""
    return model._postprocess(instances, inputs, images.image_sizes)
