"""Detectron2's keypoint_rcnn_R_50_FPN_3x, so that its published weights and numbers apply."""

from .common.data import dataloader
from .common.model import model
from .common.optim import optimizer
from .common.schedule import schedule_3x as lr_multiplier
from .common.train import train

train.max_iter = 270_000
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.output_dir = "./output/keypoint_rcnn_R50_FPN_3x"
