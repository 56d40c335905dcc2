"""configs/custom_dataset.py with the full R50-FPN model, fine-tuned from COCO's people; for a GPU.

Of the published weights all is taken over but the last layer of the keypoint head, whose number of
channels is that of the keypoints, and with several categories the last layer of the box head. Other
weights: train.init_checkpoint, such as detectron2://ImageNetPretrained/MSRA/R-50.pkl.
"""

from detectron2.config import LazyCall as L

from pose_project.engine import WarmupCosine

from .common.custom_dataset import custom, read_from_json
from .common.data import dataloader
from .common.model import model
from .common.optim import optimizer
from .common.train import train

read_from_json(model, dataloader)

dataloader.train.total_batch_size = 8
# a quarter of what the linear rule makes of 0.02 at batch 8: to adapt weights, not to learn anew
optimizer.lr = 0.0025
lr_multiplier = L(WarmupCosine)(warmup_iters=100)

train.max_iter = 3000
train.eval_period = 1000
train.checkpointer.period = 1000
train.init_checkpoint = (
    "detectron2://COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x/137849621/model_final_a6e10b.pkl"
)
train.output_dir = "./output/custom_dataset_R50_FPN"
