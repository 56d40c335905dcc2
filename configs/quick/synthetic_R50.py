"""The full R50-FPN model from scratch on 4,000 synthetic photos: a proof of training on a GPU.

Meant for one large GPU and at most eight minutes. The model is that of the slides; only what random
weights need is different: BatchNorm that learns, nothing frozen, AdamW.
"""

from ..common.compact_train import lr_multiplier, optimizer, train
from ..common.data import dataloader
from ..common.model import model

model.backbone.bottom_up.freeze_at = 0
model.backbone.bottom_up.stem.norm = "BN"
model.backbone.bottom_up.stages.norm = "BN"
model.backbone.norm = "BN"
# Photos are 240 x 320: half the sizes of the full model's anchors.
model.proposal_generator.anchor_generator.sizes = [[16], [32], [64], [128], [256]]

dataloader.train.dataset.names = "synthetic_demo_train_4000"
dataloader.train.mapper.augmentations[0].update(short_edge_length=(192, 224, 256), max_size=427)
dataloader.train.total_batch_size = 16
dataloader.train.num_workers = 12
dataloader.test.dataset.names = "synthetic_demo_val_400"
dataloader.test.mapper.augmentations[0].update(short_edge_length=240, max_size=427)

optimizer.lr = 5e-4
optimizer.fused = True
train.output_dir = "./output/synthetic_R50"
train.max_iter = 1000
train.checkpointer.period = 500
