"""The compact model on real COCO photos, however few: does everything work on real input?

It learns the handful of photos by heart; that is what it is for.
"""

from ..common.compact_model import model
from ..common.compact_train import lr_multiplier, optimizer, train
from ..common.data import dataloader

dataloader.train.mapper.augmentations[0].update(short_edge_length=256, max_size=427)
dataloader.train.total_batch_size = 4
dataloader.train.num_workers = 0
dataloader.test.mapper.augmentations[0].update(short_edge_length=256, max_size=427)
dataloader.test.num_workers = 0

train.output_dir = "./output/coco_tiny"
train.max_iter = 400
