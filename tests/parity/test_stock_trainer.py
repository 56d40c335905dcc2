"""The registry's promise: Detectron2's own trainer and yacs config train the head by its name."""

import json

import pytest
from detectron2 import model_zoo
from detectron2.config import get_cfg
from detectron2.engine import DefaultTrainer
from helpers.annotations import person

from pose_project.data import get_schema, register_keypoint_dataset
from pose_project.modeling import SpatialSoftmaxKeypointHead, add_pose_config


@pytest.mark.parametrize("up_scale", [1, 2])
def test_default_trainer_takes_two_iterations(write_dataset, tmp_path, up_scale):
    annotations = [person(image_id=i, annotation_id=i) for i in (1, 2)]
    register_keypoint_dataset("stock", *write_dataset(annotations, sizes_hw=((64, 80),) * 2))
    get_schema("stock")  # fills the metadata that the stock mapper needs for flips

    cfg = get_cfg()
    add_pose_config(cfg)
    cfg.merge_from_file(model_zoo.get_config_file("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml"))
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = "SpatialSoftmaxKeypointHead"
    cfg.MODEL.ROI_KEYPOINT_HEAD.UP_SCALE = up_scale
    cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS = (16,)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.RESNETS.DEPTH = 18
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 64
    cfg.MODEL.RESNETS.NORM = "BN"
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.FPN.OUT_CHANNELS = 16
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = ("stock",), ()
    cfg.INPUT.MIN_SIZE_TRAIN = (64,)
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.MAX_ITER, cfg.SOLVER.STEPS = 2, 2, ()
    cfg.OUTPUT_DIR = str(tmp_path / "run")
    (tmp_path / "run").mkdir()

    trainer = DefaultTrainer(cfg)
    assert isinstance(trainer.model.roi_heads.keypoint_head, SpatialSoftmaxKeypointHead)
    trainer.train()
    last = json.loads((tmp_path / "run" / "metrics.json").read_text().splitlines()[-1])
    assert last["loss_keypoint"] > 0
