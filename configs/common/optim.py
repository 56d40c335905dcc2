"""SGD as on the slides: lr 0.02, momentum 0.9, weight decay 1e-4."""

import torch
from detectron2.config import LazyCall as L
from detectron2.solver.build import get_default_optimizer_params

optimizer = L(torch.optim.SGD)(
    # the trainer sets params.model
    params=L(get_default_optimizer_params)(weight_decay_norm=0.0),  # Detectron2's default
    lr=0.02,
    momentum=0.9,
    weight_decay=1e-4,
)
