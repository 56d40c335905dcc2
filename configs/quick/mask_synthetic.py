"""configs/quick/synthetic.py with masks: three tables."""

from ..common.mask_head import add_masks
from .synthetic import dataloader, lr_multiplier, model, optimizer, train

add_masks(model, dataloader)
model.roi_heads.mask_head.update(conv_dims=[64] * 3)
model.roi_heads.mask_head.input_shape.channels = 64
train.output_dir = "./output/mask_synthetic"
