"""Test-time options: each does what it says, and none changes the model."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances
from helpers.refined import HEADS, make_refined

from pose_project.engine import PoseTrainer, load_config
from pose_project.extras.test_time.multi_view import MultiViewRCNN
from pose_project.modeling.acceleration import inference_model
from pose_project.structures import COCO_PERSON
from pose_project.utils import extras
from pose_project.utils.errors import InputError


@pytest.fixture(scope="module")
def cfg() -> Any:
    return load_config(
        "configs/quick/synthetic.py",
        [
            "train.device=cpu",
            "model.roi_heads.box_predictor.test_score_thresh=0.0",
            "model.roi_heads.box_predictor.test_topk_per_image=6",
        ],
    )


@pytest.fixture(scope="module")
def model(cfg: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    model = PoseTrainer.build_model(cfg).eval()
    # BatchNorm without statistics lets values grow, and softmax is steep there
    model.roi_heads.keypoint_head.score_lowres.weight.data *= 1e-2
    return model


@pytest.fixture(scope="module")
def batch() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {
            "image": torch.from_numpy(rng.integers(0, 256, (3, 96, side), dtype=np.uint8)),
            "height": 192,
            "width": 3 * side,
        }
        for side in (128, 96)
    ]


@pytest.fixture(scope="module")
def detect(cfg: Any, model: torch.nn.Module, batch: list) -> Callable[..., list[Instances]]:
    def run(**options: Any) -> list[Instances]:
        settings = {**cfg.train.inference, "test_time": options}
        fast = inference_model(model, settings, COCO_PERSON)
        return [each["instances"] for each in fast(copy.deepcopy(batch))]

    return run


def test_without_a_switch_the_model_is_as_it_was(cfg, model):
    fast = inference_model(model, cfg.train.inference, COCO_PERSON)
    assert type(fast.model) is type(model)


def test_the_given_model_is_not_changed(model, detect, batch):
    with torch.no_grad():
        before = model(batch)[0]["instances"].pred_keypoints
        detect(flip=True, scales=[0.5], subpixel=True, temperature=2.0, rescore=True, oks_nms=0.5)
        after = model(batch)[0]["instances"]
    assert (before == after.pred_keypoints).all()
    assert not after.has("pred_keypoint_covs")


def test_mirrored_photos_with_mirrored_boxes_have_mirrored_heatmaps(model, batch):
    """With both views averaged nothing is left that tells a photo from its mirror image."""

    class InGivenBoxes(MultiViewRCNN):
        boxes: torch.Tensor

        def _find_people(self, views):
            size_hw = views[0].images.image_sizes[0]
            return [
                Instances(
                    size_hw,
                    pred_boxes=Boxes(self.boxes),
                    scores=torch.ones(2),
                    pred_classes=torch.zeros(2, dtype=torch.int64),
                )
            ]

    model = copy.deepcopy(model)
    model.roi_heads.keypoint_head.keep_heatmaps = True
    both = InGivenBoxes(model, COCO_PERSON, flip=True, scales=[0.5])
    boxes = torch.tensor([[10.0, 12, 60, 90], [50.0, 5, 100, 70]])
    photo = batch[0]["image"]
    width = photo.shape[-1]
    with torch.no_grad():
        both.boxes = boxes
        found = both([{"image": photo}])[0]["instances"].pred_keypoint_heatmaps
        both.boxes = boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1]) + torch.tensor(
            [width, 0, width, 0]
        )
        mirrored = both([{"image": photo.flip(-1)}])[0]["instances"].pred_keypoint_heatmaps
    expected = found[:, list(COCO_PERSON.hflip_indices)].flip(-1)
    torch.testing.assert_close(mirrored, expected, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(found, expected, atol=1e-2)


def test_flip_keeps_the_boxes_and_moves_keypoints(detect):
    plain, flipped = detect(), detect(flip=True)
    for first, second in zip(plain, flipped, strict=True):
        torch.testing.assert_close(first.pred_boxes.tensor, second.pred_boxes.tensor)
        assert not torch.equal(first.pred_keypoints, second.pred_keypoints)


def test_a_further_size_brings_further_boxes(detect):
    plain, larger = detect()[0], detect(scales=[1.5])[0]
    assert len(larger) <= 6
    assert larger.scores[0] >= plain.scores[0]  # the best of one size is among those of both
    height, width = larger.image_size
    assert (larger.pred_boxes.tensor <= torch.tensor([width, height, width, height]) + 1e-3).all()


def test_probabilities_and_covariances_are_in_the_photos_pixels(detect, batch):
    plain, sure = detect()[1], detect(temperature=1.0)[1]
    assert torch.equal(plain.pred_keypoints[..., :2], sure.pred_keypoints[..., :2])
    scores = sure.pred_keypoints[..., 2]
    assert (scores >= 0).all() and (scores <= 1).all()
    covariances = sure.pred_keypoint_covs
    assert covariances.shape == (len(sure), 17, 2, 2)
    assert (torch.linalg.eigvalsh(covariances) > 0).all()
    # 96 x 96 became 192 rows and 288 columns: nearly flat heatmaps are as wide as their boxes
    sides = sure.pred_boxes.tensor[:, 2:] - sure.pred_boxes.tensor[:, :2]
    deviations = covariances.diagonal(dim1=2, dim2=3).sqrt()
    smallest = torch.tensor([3.0, 2.0])  # a pixel of the model's
    assert (deviations < 0.6 * sides.maximum(smallest)[:, None]).all()
    assert (deviations > 0).all()
    cooler = detect(temperature=3.0)[1].pred_keypoints[..., 2]
    assert ((cooler - 0.5).abs() <= (scores - 0.5).abs() + 1e-6).all()


def test_rescored_people_are_sorted_and_never_surer(detect):
    plain, scored = detect()[0], detect(rescore=True)[0]
    assert (scored.scores.diff() <= 0).all()
    assert scored.scores.max() < plain.scores.max()
    assert not scored.has("pred_oks")
    assert len(plain) == len(scored)


def test_with_keypoints_for_the_best_only(cfg, model, batch):
    model = copy.deepcopy(model)
    model.roi_heads.keypoint_head.topk_per_image = 2
    settings = {**cfg.train.inference, "test_time": {"flip": True, "temperature": 1.0}}
    found = inference_model(model, settings, COCO_PERSON)(batch)[0]["instances"]
    assert len(found) > 2
    assert (found.pred_keypoints[2:] == 0).all() and (found.pred_keypoint_covs[2:] == 0).all()
    assert (found.pred_keypoints[:2, :, :2] > 0).any()


def test_all_together_in_bfloat16(cfg, model, batch):
    options = {"flip": True, "scales": [0.7], "temperature": 1.3, "rescore": True, "oks_nms": 0.9}
    settings = {**cfg.train.inference, "dtype": "bf16", "test_time": options}
    found = inference_model(model, settings, COCO_PERSON)(batch)
    assert all(each["instances"].pred_keypoints.dtype == torch.float32 for each in found)
    assert all(each["instances"].pred_keypoints.isfinite().all() for each in found)


@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"oks_nms": 1.5}, {"scales": [0.0]}, {"scales": [1.0, -2]}]
)
def test_refuses_values_out_of_range(model, options):
    with pytest.raises(InputError, match=r"train\.inference\.test_time\."):
        inference_model(model, {"test_time": options}, COCO_PERSON)


def test_refuses_options_of_models_without_keypoints(cfg, model):
    settings = {**cfg.train.inference, "test_time": {"flip": True}}
    with pytest.raises(InputError, match="models with keypoints"):
        inference_model(model, settings, None)


def test_rescoring_is_refused_where_a_score_was_learned(cfg):
    model = make_refined("regions, OKS loss and score", "configs/quick/synthetic.py")
    settings = {**cfg.train.inference, "test_time": {"rescore": True}}
    with pytest.raises(InputError, match="rescore is for models without a learned score"):
        inference_model(model, settings, COCO_PERSON)


@pytest.mark.parametrize("switches", HEADS)
def test_every_head_in_several_views(cfg, batch, switches):
    """Mirrored, at another size, between the cells, with probabilities and covariances."""
    torch.manual_seed(0)
    model = make_refined(
        switches,
        "configs/quick/synthetic.py",
        "train.device=cpu",
        "model.roi_heads.box_predictor.test_score_thresh=0.0",
        "model.roi_heads.box_predictor.test_topk_per_image=6",
    ).eval()
    options = {"flip": True, "scales": [0.7], "subpixel": True, "temperature": 1.0}
    settings = {**cfg.train.inference, "test_time": options}
    for output in inference_model(model, settings, COCO_PERSON)(copy.deepcopy(batch)):
        found = output["instances"]
        assert len(found) == 6 and found.pred_keypoints.isfinite().all()
        assert (found.scores.diff() <= 0).all()
        scores = found.pred_keypoints[..., 2]
        assert (scores >= 0).all() and (scores <= 1).all()
        assert (torch.linalg.eigvalsh(found.pred_keypoint_covs) > 0).all()


@pytest.mark.parametrize("option", ["flip", "scales", "subpixel", "oks_nms"])
def test_without_the_extra_an_option_says_what_is_missing(cfg, model, monkeypatch, option):
    monkeypatch.setattr(extras, "EXTRAS", "pose_project.nothing")
    value = {"flip": True, "scales": [0.5], "subpixel": True, "oks_nms": 0.5}[option]
    cfg = copy.deepcopy(cfg)
    cfg.train.inference.test_time[option] = value
    with pytest.raises(InputError, match="oks_nms need pose_project/extras/test_time$"):
        inference_model(model, cfg.train.inference, COCO_PERSON)
