"""The whole of torchvision's Keypoint R-CNN against ours from converted weights, photo to result.

Each side reads the photo, resizes, pads and scales back in its own way.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from detectron2.config import instantiate
from detectron2.data import detection_utils
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.structures import Instances
from helpers.repository import ROOT
from helpers.torchvision_models import build_frozen_model, random_weights
from omegaconf import DictConfig
from torchvision.ops import box_iou

from pose_project.engine import load_config
from pose_project.extras.model_zoo.torchvision_weights import from_torchvision

CONFIG = str(ROOT / "configs/torchvision_keypoint_rcnn_R50_FPN.py")
NUM_KEYPOINTS = 5


@dataclass
class Case:
    """Photos, weights for them and what torchvision finds."""

    files: list[str]
    weights: dict[str, torch.Tensor]
    bn_eps: float
    min_size: int
    max_size: int
    num_proposals: int
    num_detections: int

    def __post_init__(self):
        model = build_frozen_model(
            self.weights,
            self.bn_eps,
            min_size=self.min_size,
            max_size=self.max_size,
            rpn_post_nms_top_n_test=self.num_proposals,
            box_detections_per_img=self.num_detections,
        )
        with torch.no_grad():
            self.expected = model([to_tensor(read(file)) for file in self.files])

    def config(self) -> DictConfig:
        resize = "dataloader.test.mapper.augmentations.0"
        cfg = load_config(
            CONFIG,
            [
                f"model.roi_heads.keypoint_head.num_keypoints={NUM_KEYPOINTS}",
                "model.roi_heads.keypoint_head.keep_heatmaps=True",
                f"model.proposal_generator.post_nms_topk=[2000,{self.num_proposals}]",
                f"model.roi_heads.box_predictor.test_topk_per_image={self.num_detections}",
                f"{resize}.short_edge_length={self.min_size}",
                f"{resize}.max_size={self.max_size}",
            ],
        )
        cfg.dataloader.test.mapper.hflip_indices = list(range(NUM_KEYPOINTS))
        return cfg

    def predict(self, cfg: DictConfig) -> list[Instances]:
        model = instantiate(cfg.model).eval()
        model.load_state_dict(from_torchvision(self.weights, self.bn_eps).weights, strict=True)
        mapper = instantiate(cfg.dataloader.test.mapper)
        with torch.no_grad():
            outputs = model([mapper({"file_name": file}) for file in self.files])
        return [output["instances"] for output in outputs]


def read(file: str) -> np.ndarray:
    return detection_utils.read_image(file, format="RGB")


def to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1) / 255


def build_case(files: list[str], bn_eps: float, **sizes: int) -> Case:
    small = [F.interpolate(to_tensor(read(file))[None], (192, 192))[0] for file in files]
    return Case(files, random_weights(torch.stack(small), bn_eps, NUM_KEYPOINTS), bn_eps, **sizes)


def share_found(case: Case, actual: list[Instances]) -> float:
    """Return the share of torchvision's detections that ours match to 0.05 pixels."""
    found, total = 0, 0
    for expected, ours in zip(case.expected, actual, strict=True):
        distance = (expected["boxes"][:, None] - ours.pred_boxes.tensor).abs().amax(dim=2)
        found += int((distance < 0.05).any(dim=1).sum())
        total += len(expected["boxes"])
    return found / total


def assert_same_detections(case: Case, actual: list[Instances]) -> None:
    moved = []
    for expected, ours in zip(case.expected, actual, strict=True):
        count = len(expected["boxes"])
        assert count == case.num_detections
        assert abs(len(ours) - count) <= 0.02 * count
        overlap, match = box_iou(expected["boxes"], ours.pred_boxes.tensor).max(dim=1)
        both = overlap > 0.9
        assert both.sum() >= 0.98 * count
        expected = {name: values[both] for name, values in expected.items()}
        ours = ours[match[both]]
        close = {"rtol": 0, "atol": 0.05}
        torch.testing.assert_close(ours.pred_boxes.tensor, expected["boxes"], **close)
        torch.testing.assert_close(ours.scores, expected["scores"], rtol=0, atol=1e-4)
        offset = ours.pred_keypoints[..., :2] - expected["keypoints"][..., :2]
        moved.append(offset.abs().amax(dim=-1) > 0.5)
        # torchvision's keypoint score is the logit; ours is its share of the softmax
        log_partition = ours.pred_keypoint_heatmaps.flatten(2).logsumexp(dim=2)
        logits = ours.pred_keypoints[..., 2].log() + log_partition
        difference = (logits - expected["keypoints_scores"])[~moved[-1]]
        assert difference.abs().max() < 0.01
    assert torch.cat(moved).float().mean() <= 0.01  # ties within rounding


@pytest.fixture(scope="module")
def synthetic_photos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two soft noisy pictures, upright and wide, whose sides are multiples of nothing."""
    files = []
    for index, (height, width) in enumerate([(231, 157), (150, 243)]):
        random = np.random.default_rng(index)
        soft = cv2.resize(random.uniform(0, 255, (9, 9, 3)), (width, height))
        noisy = soft + random.normal(0, 12, soft.shape)
        files.append(str(tmp_path_factory.mktemp("photos") / f"{index}.png"))
        cv2.imwrite(files[-1], noisy.clip(0, 255).astype(np.uint8))
    return files


@pytest.mark.integration
@pytest.mark.parametrize("bn_eps", [0.0, 1e-5])
def test_small_pictures_in_one_batch(synthetic_photos, bn_eps):
    sizes = {"min_size": 160, "max_size": 250, "num_proposals": 50, "num_detections": 5}
    case = build_case(synthetic_photos, bn_eps, **sizes)
    assert_same_detections(case, case.predict(case.config()))


@pytest.fixture(scope="module")
def photos(test_data: Path) -> list[str]:
    names = ("000000000802", "000000011813", "000000181303")  # upright, narrow, wide
    files = [str(test_data / f"coco/val2017/{name}.jpg") for name in names]
    sizes = {read(file).shape for file in files}
    assert len(sizes) == 3
    return files


@pytest.mark.integration
@pytest.mark.parametrize("bn_eps", [0.0, 1e-5])
def test_photos_at_full_size(photos, bn_eps):
    sizes = {"min_size": 800, "max_size": 1333, "num_proposals": 1000, "num_detections": 100}
    case = build_case(photos, bn_eps, **sizes)
    assert_same_detections(case, case.predict(case.config()))


def stock_anchors(cfg: DictConfig) -> None:
    cfg.model.proposal_generator.anchor_generator._target_ = DefaultAnchorGenerator


def bgr(cfg: DictConfig) -> None:
    cfg.model.input_format = "BGR"


def aligned(cfg: DictConfig) -> None:
    cfg.model.roi_heads.box_pooler.pooler_type = "ROIAlignV2"


def sampling_ratio(cfg: DictConfig) -> None:
    cfg.model.roi_heads.box_pooler.sampling_ratio = 0


def stride(cfg: DictConfig) -> None:
    cfg.model.backbone.bottom_up.stages.stride_in_1x1 = True


def stock_resize(cfg: DictConfig) -> None:
    cfg.dataloader.test.mapper.augmentations[0]._target_ = ResizeShortestEdge


@pytest.mark.integration
def test_each_setting_matters(synthetic_photos):
    """The comparison notices every setting that is left as Detectron2 has it."""
    sizes = {"min_size": 160, "max_size": 250, "num_proposals": 300, "num_detections": 30}
    case = build_case(synthetic_photos, 0.0, **sizes)
    assert share_found(case, case.predict(case.config())) > 0.98
    for change in (stock_anchors, bgr, aligned, sampling_ratio, stride, stock_resize):
        cfg = case.config()
        change(cfg)
        assert share_found(case, case.predict(cfg)) < 0.9, change.__name__
    case.bn_eps = 1e-5
    assert share_found(case, case.predict(case.config())) < 0.9
