"""Each config trains and is evaluated on a device, and nothing is left on the CPU."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from detectron2 import modeling
from detectron2.config import LazyCall as L
from helpers.repository import ROOT
from helpers.runs import COMPACT, REGNET, TINY_RUN, VITDET
from omegaconf import DictConfig

from pose_project.data import get_dataset_dicts
from pose_project.data.proposal_files import write_proposal_file
from pose_project.engine import PoseTrainer, load_config
from pose_project.modeling import make_resnet_stages

# Another schedule or dataset for the model of another config.
_SAME_MODEL = {
    "keypoint_rcnn_R50_FPN_3x.py",
    "keypoint_rcnn_R50_FPN_42ep.py",
    "keypoint_rcnn_R50_FPN_46ep.py",
    "custom_dataset.py",
    "custom_dataset_R50_FPN.py",
    "quick/coco_tiny.py",
}
CONFIGS = sorted(
    {
        str(path.relative_to(ROOT / "configs"))
        for folder in ("configs", "configs/quick")
        for path in (ROOT / folder).glob("*.py")
    }
    - _SAME_MODEL
)
TRAIN, TEST = "synthetic_demo_train_4", "synthetic_demo_val_2"
SETTINGS = [
    f"dataloader.train.dataset.names={TRAIN}",
    f"dataloader.test.dataset.names={TEST}",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.num_workers=0",
    "dataloader.test.num_workers=0",
    "model.roi_heads.box_predictor.test_score_thresh=0.0",
    "model.roi_heads.box_predictor.test_topk_per_image=5",
    "train.init_checkpoint=",
    "train.max_iter=2",
    "train.epochs=null",
    "train.log_period=1",
    "train.visualizations=0",
    "train.report=False",
    "train.clip_grad_norm=5",
]


def compact(cfg: DictConfig) -> DictConfig:
    """Make a config's ResNet and heads narrow, and its photos small."""
    for loader in (cfg.dataloader.train, cfg.dataloader.test):
        for each in loader.mapper.augmentations:
            if "short_edge_length" in each:
                each.short_edge_length, each.max_size = 64, 96
    backbone, heads = cfg.model.backbone, cfg.model.roi_heads
    stages = backbone.bottom_up.stages
    if "depth" in stages:
        kept = {key: stages[key] for key in ("norm", "stride_in_1x1")}
        stages = L(make_resnet_stages)(bottleneck_channels=None, num_groups=8, **kept)
    if "bottleneck_channels" in stages:
        stages.bottleneck_channels = [stages.num_groups] * 4
    stages.update(num_blocks=[1] * 4, in_channels=16, out_channels=[20, 24, 28, 32])
    backbone.bottom_up.stages, backbone.bottom_up.stem.out_channels = stages, 16
    backbone.out_channels = 32
    if cfg.model.proposal_generator is not None:
        cfg.model.proposal_generator.head.in_channels = 32
        cfg.model.proposal_generator.update(pre_nms_topk=(200, 100), post_nms_topk=(50, 50))
    heads.box_head.update(fc_dims=[32])
    heads.box_predictor.input_shape.channels = 32
    for name in ("box_head", "keypoint_head", "mask_head"):
        if heads.get(name) is not None:
            heads[name].input_shape.channels = 32
    if heads.keypoint_head is not None:
        heads.keypoint_head.conv_dims = [16]
    if heads.get("mask_head") is not None:
        heads.mask_head.conv_dims = [16] * 2
    cfg.optimizer.lr = 1e-4
    return cfg


@pytest.fixture(scope="module")
def proposal_files(synthetic_cache, tmp_path_factory) -> list[str]:
    """Proposals near the people of both datasets."""
    folder = tmp_path_factory.mktemp("proposals")
    rng, overrides = np.random.default_rng(0), []
    for loader, name in (("train", TRAIN), ("test", TEST)):
        photos = get_dataset_dicts(name, filter_empty=False)
        boxes = []
        for photo in photos:
            truth = np.array([each["bbox"] for each in photo["annotations"]]).reshape(-1, 4)
            truth[:, 2:] += truth[:, :2]
            boxes.append(np.repeat(truth, 20, axis=0) + rng.normal(0, 3, (20 * len(truth), 4)))
        file = folder / f"{name}.pkl"
        write_proposal_file(file, [photo["image_id"] for photo in photos], boxes)
        overrides.append(f"dataloader.{loader}.dataset.proposal_files={file}")
    return overrides


def config_of(name: str, proposal_files: list[str]) -> DictConfig:
    path = str(ROOT / "configs" / name)
    if "regnety" in name:
        return load_config(path, [*REGNET, *COMPACT, *SETTINGS])
    if "vitdet" in name:
        return load_config(path, [*VITDET, *COMPACT, *SETTINGS])
    files = proposal_files if name.rpartition("/")[2].startswith("fast_") else []
    return compact(load_config(path, [*SETTINGS, *files]))


@pytest.mark.parametrize("name", CONFIGS)
def test_trains_and_is_evaluated(fake_gpu: str, name: str, proposal_files: list, tmp_path: Path):
    if "vitdet" in name and not hasattr(modeling, "ViT"):
        pytest.skip("release 0.6 of Detectron2 has no ViT")
    cfg = config_of(name, proposal_files)
    cfg.train.device, cfg.train.output_dir = fake_gpu, str(tmp_path)
    trainer = PoseTrainer(cfg)
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    assert {"bbox"} <= results.keys()
    rows = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    losses = [row["total_loss"] for row in rows if "total_loss" in row]
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    assert {each.device.type for each in trainer.model.state_dict().values()} == {fake_gpu}
