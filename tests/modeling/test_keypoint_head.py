import copy

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import build_keypoint_head
from detectron2.structures import Boxes, Instances, Keypoints

from pose_project.modeling import SpatialSoftmaxKeypointHead, add_pose_config

SHAPE = ShapeSpec(channels=8, height=14, width=14)


def make_head(**changes) -> SpatialSoftmaxKeypointHead:
    torch.manual_seed(0)
    arguments = {"num_keypoints": 3, "conv_dims": [4, 4], **changes}
    return SpatialSoftmaxKeypointHead(SHAPE, **arguments)


def labelled(visibility: float = 2.0, box=(0.0, 0.0, 20.0, 40.0)) -> Instances:
    instances = Instances((50, 50))
    instances.proposal_boxes = Boxes(torch.tensor([box]))
    instances.gt_keypoints = Keypoints(torch.tensor([[[5.0, 5.0, visibility]] * 3]))
    return instances


def nobody() -> Instances:
    """What Detectron2 hands over for a photo without foreground: boxes, but no keypoints."""
    return Instances((50, 50), proposal_boxes=Boxes(torch.zeros(0, 4)))


@pytest.mark.parametrize(("up_scale", "side"), [(1, 28), (2, 56)])
def test_size_of_the_heatmap(up_scale, side):
    head = make_head(up_scale=up_scale).eval()
    assert head.layers(torch.zeros(2, 8, 14, 14)).shape == (2, 3, side, side)


def test_any_other_size_is_refused():
    with pytest.raises(ValueError, match="1 .28x28. or 2 .56x56."):
        make_head(up_scale=3)


@pytest.mark.parametrize(
    "instances",
    [
        [labelled()],
        [labelled(visibility=0.0)],
        [labelled(box=(5.0, 5.0, 5.0, 5.0))],
        [labelled(), nobody()],
        [nobody(), nobody()],
    ],
    ids=["labelled", "none visible", "flat box", "one photo empty", "all photos empty"],
)
def test_loss_is_finite_and_reaches_every_parameter(instances):
    head = make_head()
    features = torch.randn(sum(len(each) for each in instances), 8, 14, 14)
    loss = head(features, instances)["loss_keypoint"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_heatmaps_are_kept_only_when_asked_for():
    for keep in (False, True):
        head = make_head(keep_heatmaps=keep).eval()
        instances = Instances((50, 50), pred_boxes=Boxes(torch.tensor([[0.0, 0.0, 20.0, 40.0]])))
        (result,) = head(torch.randn(1, 8, 14, 14), [instances])
        assert result.pred_keypoints.shape == (1, 3, 3)
        assert result.has("pred_keypoint_heatmaps") is keep


def detections(count: int, classes: list[int]) -> Instances:
    generator = torch.Generator().manual_seed(count)
    corner = 20 * torch.rand(count, 2, generator=generator)
    return Instances(
        (50, 50),
        pred_boxes=Boxes(torch.cat([corner, corner + 25], dim=1)),
        scores=torch.rand(count, generator=generator),
        pred_classes=torch.tensor(classes, dtype=torch.int64),
    )


def test_keypoints_of_the_best_alone():
    """Of each class in each photo, as COCO takes them; one photo has nobody."""
    photos = [detections(5, [0, 1, 0, 0, 1]), detections(0, []), detections(1, [1])]
    features = torch.randn(6, 8, 14, 14)
    all_of_them = make_head(keep_heatmaps=True).eval()(features, copy.deepcopy(photos))
    head = make_head(keep_heatmaps=True, topk_per_image=1).eval()
    for everyone, best in zip(all_of_them, head(features, photos), strict=True):
        kept = torch.zeros(len(best), dtype=torch.bool)
        for category in best.pred_classes.unique():
            of_class = (best.pred_classes == category).nonzero().flatten()
            kept[of_class[best.scores[of_class].argmax()]] = True
        for name in ("pred_keypoints", "pred_keypoint_heatmaps"):
            torch.testing.assert_close(best.get(name)[kept], everyone.get(name)[kept])
            assert (best.get(name)[~kept] == 0).all()


def test_keypoints_in_given_boxes_need_no_scores():
    boxes = Instances((50, 50), pred_boxes=Boxes(torch.tensor([[0.0, 0.0, 20.0, 40.0]] * 2)))
    (result,) = make_head(topk_per_image=1).eval()(torch.randn(2, 8, 14, 14), [boxes])
    assert (result.pred_keypoints[..., 2] > 0).all()


def test_at_least_one_of_the_best():
    with pytest.raises(ValueError, match="topk_per_image"):
        make_head(topk_per_image=0)


def test_nobody_found():
    head = make_head().eval()
    empty = Instances((50, 50), pred_boxes=Boxes(torch.zeros(0, 4)))
    (result,) = head(torch.zeros(0, 8, 14, 14), [empty])
    assert result.pred_keypoints.shape == (0, 3, 3)


def test_loss_in_bfloat16_autocast_is_float32():
    head = make_head()
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(torch.randn(1, 8, 14, 14), [labelled()])["loss_keypoint"]
    assert loss.dtype == torch.float32


def test_number_as_normalizer_counts_images():
    features, instances = torch.randn(1, 8, 14, 14), [labelled(), nobody()]
    one = make_head(loss_normalizer=1.0)(features, instances)["loss_keypoint"]
    visible = make_head()(features, instances)["loss_keypoint"]
    torch.testing.assert_close(one * 2, visible * 3)  # two images, three visible keypoints


@pytest.mark.parametrize(("with_pose_config", "up_scale"), [(False, None), (True, 2), (True, 1)])
def test_by_name_from_a_yacs_config(with_pose_config, up_scale):
    cfg = get_cfg()
    if with_pose_config:
        add_pose_config(cfg)
        cfg.MODEL.ROI_KEYPOINT_HEAD.UP_SCALE = up_scale
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = "SpatialSoftmaxKeypointHead"
    cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS = (4, 4)
    head = build_keypoint_head(cfg, SHAPE)
    assert isinstance(head, SpatialSoftmaxKeypointHead)
    assert head.up_scale == (up_scale or 2)
    assert head.num_keypoints == 17
