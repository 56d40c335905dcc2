"""The embedded default: learn to find synthetic people from scratch, on a CPU, in minutes."""

from ..common.compact_model import model
from ..common.compact_train import lr_multiplier, optimizer, train
from ..common.data import dataloader

dataloader.train.dataset.names = "synthetic_demo_train_1200"
dataloader.train.mapper.augmentations[0].update(short_edge_length=192, max_size=320)
dataloader.train.total_batch_size = 8
dataloader.train.num_workers = 0
dataloader.test.dataset.names = "synthetic_demo_val_100"
dataloader.test.mapper.augmentations[0].update(short_edge_length=192, max_size=320)
dataloader.test.num_workers = 0

train.output_dir = "./output/synthetic"
train.max_iter = 660
train.report = True
