"""The embedded default: learn to find synthetic people from scratch, on a CPU, in minutes."""

from detectron2.config import LazyCall as L

from pose_project.engine import WarmupCosine

from ..common.compact_model import model
from ..common.data import dataloader
from ..common.optim import optimizer
from ..common.train import train

dataloader.train.dataset.names = "synthetic_demo_train_2000"
dataloader.train.mapper.augmentations[0].update(short_edge_length=192, max_size=320)
dataloader.train.total_batch_size = 8
dataloader.train.num_workers = 0
dataloader.test.dataset.names = "synthetic_demo_val_100"
dataloader.test.mapper.augmentations[0].update(short_edge_length=192, max_size=320)
dataloader.test.num_workers = 0

optimizer.lr = 0.02
lr_multiplier = L(WarmupCosine)(warmup_iters=100)

train.max_iter = 660
train.clip_grad_norm = 5.0
train.amp.enabled = True
train.channels_last = True
train.eval_period = 0
train.checkpointer.period = 100
train.log_period = 20
