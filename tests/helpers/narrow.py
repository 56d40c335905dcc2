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
        return load_config(path, [*widths, *COMPACT, *_SETTINGS, *overrides])
    cfg = load_config(path, [*_SETTINGS, *overrides])
    for loader in (cfg.dataloader.train, cfg.dataloader.test):
        for each in loader.mapper.augmentations:
            if "short_edge_length" in each:
                each.short_edge_length, each.max_size = 64, 96
    _narrow_resnet(cfg.model.backbone)
    if cfg.model.proposal_generator is not None:
        cfg.model.proposal_generator.head.in_channels = 32
        cfg.model.proposal_generator.update(pre_nms_topk=(200, 100), post_nms_topk=(50, 50))
    heads = cfg.model.roi_heads
    heads.box_head.update(fc_dims=[32])
    heads.box_predictor.input_shape.channels = 32
    for head, widths in (("box_head", []), ("keypoint_head", [16]), ("mask_head", [16, 16])):
        if heads.get(head) is not None:
            heads[head].input_shape.channels = 32
            heads[head].conv_dims = widths
    return cfg


def _narrow_resnet(backbone: DictConfig) -> None:
    stages = backbone.bottom_up.stages
    if "depth" in stages:  # Detectron2's default stages, whose widths are fixed
        kept = {key: stages[key] for key in ("norm", "stride_in_1x1")}
        stages = L(make_resnet_stages)(bottleneck_channels=None, num_groups=8, **kept)
    if "bottleneck_channels" in stages:
        stages.bottleneck_channels = [stages.num_groups] * 4
    stages.update(num_blocks=[1] * 4, in_channels=16, out_channels=[20, 24, 28, 32])
    backbone.bottom_up.stages, backbone.bottom_up.stem.out_channels = stages, 16
    backbone.out_channels = 32
