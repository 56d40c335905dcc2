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
