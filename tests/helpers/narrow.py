"""Any config of the family, narrow enough that two iterations and an evaluation take a second."""

from detectron2.config import LazyCall as L
from omegaconf import DictConfig

from helpers.repository import ROOT
from helpers.runs import COMPACT, REGNET, VITDET
from pose_project.engine import load_config
from pose_project.modeling import make_resnet_stages

TRAIN, TEST = "synthetic_demo_train_4", "synthetic_demo_val_2"
_SETTINGS = [
    f"dataloader.train.dataset.names={TRAIN}",
    f"dataloader.test.dataset.names={TEST}",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.num_workers=0",
    "dataloader.test.num_workers=0",
    # random weights find people everywhere, with scores near one half
    "model.roi_heads.box_predictor.test_score_thresh=0.0",
    "model.roi_heads.box_predictor.test_topk_per_image=5",
    "train.init_checkpoint=",
    "train.epochs=null",
    "train.max_iter=2",
    "train.log_period=1",
    "train.checkpointer.period=0",
    "train.visualizations=0",
    "train.report=False",
    "train.clip_grad_norm=5",
    "optimizer.lr=1e-4",
]


def narrow_config(name: str, *overrides: str) -> DictConfig:
    """Return a config of ``configs/`` at a fraction of its width, on a few small photos.

    Args:
        name: such as ``quick/synthetic.py``.
        overrides: of the narrow config.
    """
    path = str(ROOT / "configs" / name)
    if "regnety" in name or "vitdet" in name:
        widths = REGNET if "regnety" in name else VITDET
        cfg = load_config(path, [*widths, *COMPACT, *_SETTINGS, *overrides])
        heads = cfg.model.roi_heads
        if "mask_head" in heads:
            heads.mask_head.update(conv_dims=[16] * 2)
            heads.mask_head.input_shape.channels = 32
        if heads.box_head.get("conv_dims"):
            heads.box_head.conv_dims = [32]
        return cfg
    cfg = load_config(path, [*_SETTINGS, *overrides])
    for loader in (cfg.dataloader.train, cfg.dataloader.test):
        for each in loader.mapper.augmentations:
            if "short_edge_length" in each:
                each.short_edge_length, each.max_size = 64, 96
    narrow_model(cfg.model, shallow=True)
    return cfg


def narrow_model(model: DictConfig, shallow: bool) -> None:
    """Give a model with a ResNet few channels, in place.

    Args:
        model: of a config.
        shallow: with few proposals, and a layer where there are several; otherwise what a device is
            asked to do stays the same, only smaller.
    """
    _narrow_resnet(model.backbone, shallow)
    if model.proposal_generator is not None:
        model.proposal_generator.head.in_channels = 32
        if shallow:
            model.proposal_generator.update(pre_nms_topk=(200, 100), post_nms_topk=(50, 50))
    heads = model.roi_heads
    heads.box_head.fc_dims = [32] * (1 if shallow else len(heads.box_head.fc_dims))
    if heads.box_head.get("conv_dims"):
        heads.box_head.conv_dims = [32] * (1 if shallow else len(heads.box_head.conv_dims))
    heads.box_predictor.input_shape.channels = 32
    for head in (heads.get(name) for name in ("box_head", "keypoint_head", "mask_head")):
        if head is not None:
            head.input_shape.channels = 32
    for head in (heads.get("keypoint_head"), heads.get("mask_head")):
        if head is not None:  # the mask head's last is a transposed convolution
            head.conv_dims = [16] * (2 if shallow else len(head.conv_dims))


def _narrow_resnet(backbone: DictConfig, shallow: bool) -> None:
    stages = backbone.bottom_up.stages
    if "depth" in stages:  # Detectron2's default stages, whose widths are fixed
        blocks = [3, 4, {50: 6, 101: 23}[stages.depth], 3]
        kept = {key: stages[key] for key in ("norm", "stride_in_1x1")}
        stages = L(make_resnet_stages)(
            num_blocks=blocks, bottleneck_channels=None, num_groups=8, **kept
        )
    if "bottleneck_channels" in stages:
        stages.bottleneck_channels = [stages.num_groups] * 4
    if shallow:
        stages.num_blocks = [1] * 4
    stages.update(in_channels=16, out_channels=[20, 24, 28, 32])
    backbone.bottom_up.stages, backbone.bottom_up.stem.out_channels = stages, 16
    backbone.out_channels = 32
