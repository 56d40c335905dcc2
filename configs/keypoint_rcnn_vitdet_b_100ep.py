"""ViTDet-B, as in Detectron2's mask_rcnn_vitdet_b_100ep; needs Detectron2 main, not release 0.6."""

import torch
from detectron2.config import LazyCall as L
from detectron2.data import transforms as T
from detectron2.model_zoo import get_config
from detectron2.solver.build import get_default_optimizer_params

from pose_project.engine import WarmupMultiStep
from pose_project.extras.other_models.vit import make_layer_norm, make_lr_decay

from .common.data import dataloader
from .common.model import model
from .common.train import train

_vitdet = get_config("common/models/mask_rcnn_vitdet.py").model
model.backbone = _vitdet.backbone
model.backbone.net.norm_layer = L(make_layer_norm)(eps=1e-6)
for _key in ("pixel_mean", "pixel_std", "input_format"):
    model[_key] = _vitdet[_key]
model.proposal_generator.head.conv_dims = [-1, -1]
model.roi_heads.box_head.update(conv_dims=[256] * 4, conv_norm="LN")

# detectron2 projects/ViTDet/configs/common/coco_loader_lsj.py
dataloader.train.mapper.augmentations = [
    L(T.RandomFlip)(horizontal=True),
    L(T.ResizeScale)(min_scale=0.1, max_scale=2.0, target_height=1024, target_width=1024),
    L(T.FixedSizeCrop)(crop_size=(1024, 1024), pad=False),
]
dataloader.train.total_batch_size = 64
dataloader.test.mapper.augmentations[0].update(short_edge_length=1024, max_size=1024)

# detectron2 projects/ViTDet/configs/COCO/mask_rcnn_vitdet_b_100ep.py; milestones in its epochs
optimizer = L(torch.optim.AdamW)(
    params=L(get_default_optimizer_params)(
        base_lr="${..lr}",
        weight_decay_norm=0.0,
        lr_factor_func=L(make_lr_decay)(num_layers=12, rate=0.7),
        overrides={"pos_embed": {"weight_decay": 0.0}},
    ),
    lr=1e-4,
    betas=(0.9, 0.999),
    weight_decay=0.1,
)
lr_multiplier = L(WarmupMultiStep)(
    milestones=[89, 96], unit="epochs", gamma=0.1, warmup_iters=250, warmup_factor=1 / 1000
)
train.epochs = 100
train.amp.enabled = True
train.init_checkpoint = (
    "detectron2://ImageNetPretrained/MAE/mae_pretrain_vit_base.pth?matching_heuristics=True"
)
train.output_dir = "./output/keypoint_rcnn_vitdet_b_100ep"
