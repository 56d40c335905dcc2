"""A keypoint dataset of one's own and the compact model: custom.train_json, val_json, image_root.

The compact model, because it learns from scratch, without downloads, on a CPU. From weights of its
own (train.init_checkpoint) all layers start whose shape is the same: with another number of
keypoints all but the last. configs/custom_dataset_R50_FPN.py is the full model.
"""

from .common.compact_model import model
from .common.compact_train import lr_multiplier, optimizer, train
from .common.custom_dataset import custom, read_from_json
from .common.data import dataloader

read_from_json(model, dataloader)

# what the compact model is made for, as in configs/quick/synthetic.py
dataloader.train.mapper.augmentations[0].update(short_edge_length=192, max_size=320)
dataloader.test.mapper.augmentations[0].update(short_edge_length=192, max_size=320)
dataloader.train.total_batch_size = 8
dataloader.train.num_workers = 0
dataloader.test.num_workers = 0

train.max_iter = 600
train.output_dir = "./output/custom_dataset"
