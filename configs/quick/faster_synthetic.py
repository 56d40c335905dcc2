"""configs/quick/synthetic.py without keypoints: Faster R-CNN."""

from ..common.boxes_only import boxes_only
from .synthetic import dataloader, lr_multiplier, model, optimizer, train

boxes_only(model, dataloader, train)
train.output_dir = "./output/faster_synthetic"
