"""configs/quick/synthetic.py with stronger augmentation: people turned, near, far and grey."""

from ..common.augmentation import add_augmentations
from .synthetic import dataloader, lr_multiplier, model, optimizer, train

add_augmentations(dataloader, jitter_size_hw=(240, 320))
train.output_dir = "./output/synthetic_augmented"
