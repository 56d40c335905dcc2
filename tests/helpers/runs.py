"""Overrides that make a run small."""

TINY_RUN = [
    "dataloader.train.dataset.names=synthetic_demo_train_12",
    "dataloader.test.dataset.names=synthetic_demo_val_5",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.mapper.augmentations.0.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "train.visualizations=0",
    "train.report=False",
    "train.device=cpu",
]
"""A run of seconds: few and small photos, on the CPU."""

TINY = [
    *TINY_RUN,
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "train.max_iter=6",
    "train.log_period=1",
    "train.checkpointer.period=2",
]
"""A run small enough for a unit test: 96-pixel photos, a few channels, a few iterations."""

CONFIG = "configs/quick/synthetic.py"
EVERYTHING = (
    "train.device=cpu",
    # random weights find people everywhere, with scores near one half
    "model.roi_heads.box_predictor.test_score_thresh=0.0",
    "model.roi_heads.box_predictor.test_topk_per_image=8",
)
"""Of a compact model with random weights: whatever it finds is kept."""

COMPACT = [
    "dataloader.train.num_workers=0",
    "dataloader.test.num_workers=0",
    "model.backbone.out_channels=32",
    "model.proposal_generator.head.in_channels=32",
    "model.roi_heads.box_head.input_shape.channels=32",
    "model.roi_heads.box_head.fc_dims=[64]",
    "model.roi_heads.box_predictor.input_shape.channels=64",
    "model.roi_heads.keypoint_head.input_shape.channels=32",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "lr_multiplier.warmup_iters=5",
    "optimizer.lr=0.002",
    "train.init_checkpoint=",
    "train.clip_grad_norm=5",
    "train.amp.enabled=False",
]
"""The full models at a fraction of their width, from random weights."""

REGNET = [
    *TINY_RUN,
    *(f"model.backbone.bottom_up.{key}" for key in ("stem_width=16", "depth=6", "w_a=8")),
    *(f"model.backbone.bottom_up.{key}" for key in ("w_0=16", "w_m=1.5", "group_width=8")),
    *(f"model.backbone.bottom_up.{key}" for key in ("norm=BN", "freeze_at=0")),
]
"""With ``COMPACT``, for the RegNet's config."""

VITDET = [
    *(each for each in TINY_RUN if "augmentations" not in each),
    "dataloader.train.mapper.augmentations.1.target_height=128",
    "dataloader.train.mapper.augmentations.1.target_width=128",
    "dataloader.train.mapper.augmentations.1.min_scale=0.9",
    "dataloader.train.mapper.augmentations.2.crop_size=[128,128]",
    "dataloader.test.mapper.augmentations.0.short_edge_length=128",
    "dataloader.test.mapper.augmentations.0.max_size=128",
    *(f"model.backbone.net.{key}" for key in ("img_size=128", "embed_dim=32", "depth=2")),
    *(f"model.backbone.net.{key}" for key in ("num_heads=2", "window_size=4")),
    "model.backbone.net.window_block_indexes=[0]",
    "model.backbone.square_pad=128",
    "model.roi_heads.box_head.conv_dims=[32]",
    "optimizer.params.lr_factor_func.num_layers=2",
]
"""With ``COMPACT``, for ViTDet's config."""
