"""torchvision's recipe, which the slides follow: 46 epochs at batch 16, both decays firing.

With 42 epochs the slides stop before their second milestone, epoch 43; here the learning rate
drops at epochs 36 and 43, and three epochs remain at the lowest.
"""

from .common.data import dataloader
from .common.model import model
from .common.optim import optimizer
from .common.schedule import slides as lr_multiplier
from .common.train import train

dataloader.train.total_batch_size = 16  # torchvision references/detection: 8 GPUs x 2
train.epochs = 46
train.log_period = 10
train.eval_epochs = 1
train.checkpoint_epochs = 1
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.output_dir = "./output/keypoint_rcnn_R50_FPN_46ep"
