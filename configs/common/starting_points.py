"""Detectron2's Mask R-CNNs of 100, 200 and 400 epochs as starting points for keypoints.

``configs/new_baselines`` of Detectron2: large-scale jitter, normalisation that learns, two
convolutions in the RPN, four in the box head. Loading says how much of a file was taken.
"""

from detectron2.config import LazyCall as L
from detectron2.model_zoo import get_config
from hydra.utils import get_class
from omegaconf import DictConfig

# Detectron2's MODEL_ZOO.md, "New baselines using Large-Scale Jitter and Longer Training Schedule"
_FILES = {
    "R_50": "42019571/model_final_14d201.pkl",
    "R_101": "42073830/model_final_f96b26.pkl",
    "regnety_4gf_dds": "42045954/model_final_ef3a80.pkl",
}


def start_from_mask_rcnn(model: DictConfig, train: dict, backbone: str) -> None:
    """Give a model the parts of the Mask R-CNN of 400 epochs, and start from its weights.

    Args:
        model: with a mask head; keypoint head, regions and classes stay.
        train: of which ``init_checkpoint`` is set.
        backbone: ``R_50``, ``R_101`` or ``regnety_4gf_dds``.
    """
    name = f"mask_rcnn_{backbone}_FPN_400ep_LSJ"
    stock = get_config(f"new_baselines/{name}.py").model
    bottom_up = stock.backbone.bottom_up
    # the same parameters as "SyncBN", which refuses to train on a CPU
    if "stages" in bottom_up:
        bottom_up.stem.norm = bottom_up.stages.norm = "naiveSyncBN"
    else:
        bottom_up.norm = "naiveSyncBN"
        # as calls, so that they can be saved: classes cannot
        bottom_up.stem_class = L(get_class)(path="detectron2.modeling.backbone.regnet.SimpleStem")
        bottom_up.block_class = L(get_class)(
            path="detectron2.modeling.backbone.regnet.ResBottleneckBlock"
        )
    model.backbone.update(bottom_up=bottom_up, norm="naiveSyncBN")
    model.pixel_std = stock.pixel_std
    model.proposal_generator.head.conv_dims = stock.proposal_generator.head.conv_dims
    heads = model.roi_heads
    heads.box_head.update(
        conv_dims=stock.roi_heads.box_head.conv_dims, fc_dims=stock.roi_heads.box_head.fc_dims
    )
    heads.box_head.conv_norm = heads.mask_head.conv_norm = "naiveSyncBN_N"
    train.init_checkpoint = f"detectron2://new_baselines/{name}/{_FILES[backbone]}"
