"""configs/quick/synthetic.py with regions, OKS loss and learned score: docs/refined.md."""

from ..common.refined import add_oks_loss, enlarge_regions, learn_score
from .synthetic import dataloader, lr_multiplier, model, optimizer, train

enlarge_regions(model)
add_oks_loss(model)
learn_score(model)
train.output_dir = "./output/synthetic_refined"
