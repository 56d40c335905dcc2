"""configs/quick/synthetic.py with OKS loss and learned score: docs/refined.md."""

from ..common.refined import add_oks_loss, learn_score
from .synthetic import dataloader, lr_multiplier, model, optimizer, train

add_oks_loss(model)
learn_score(model)
train.output_dir = "./output/synthetic_refined"
