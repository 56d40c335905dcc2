"""RegNetY-4GF in place of the ResNet, as in Detectron2's mask_rcnn_regnety_4gf_dds_fpn_1x."""

from detectron2.config import LazyCall as L
from detectron2.model_zoo import get_config
from hydra.utils import get_class

from .keypoint_rcnn_R50_FPN_1x import dataloader, lr_multiplier, model, optimizer, train

_stock = get_config("COCO-InstanceSegmentation/mask_rcnn_regnety_4gf_dds_fpn_1x.py")
model.backbone.bottom_up = _stock.model.backbone.bottom_up
model.backbone.bottom_up.update(
    # as calls, so that they can be saved: classes cannot
    stem_class=L(get_class)(path="detectron2.modeling.backbone.regnet.SimpleStem"),
    block_class=L(get_class)(path="detectron2.modeling.backbone.regnet.ResBottleneckBlock"),
)
model.pixel_std = _stock.model.pixel_std
optimizer.weight_decay = _stock.optimizer.weight_decay
train.init_checkpoint = _stock.train.init_checkpoint
train.output_dir = "./output/keypoint_rcnn_regnety_4gf_FPN_1x"
