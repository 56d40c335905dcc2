import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.structures import Boxes, Instances
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads

from pose_project.extras.other_models.torchvision_rcnn import (
    TorchvisionAnchorGenerator,
    TorchvisionOutputLayers,
)

SIZES = [[32], [64], [128], [256], [512]]


@pytest.mark.parametrize("padded_hw", [(800, 1088), (832, 1344), (32, 64)])
def test_same_anchors(padded_hw):
    ratios = [0.5, 1.0, 2.0]
    ours = TorchvisionAnchorGenerator(
        sizes=SIZES, aspect_ratios=ratios, strides=[4, 8, 16, 32, 64], offset=0.0
    )
    theirs = AnchorGenerator(tuple(map(tuple, SIZES)), (tuple(ratios),) * 5)
    features = [
        torch.zeros(1, 1, *(-(-side // s) for side in padded_hw)) for s in (4, 8, 16, 32, 64)
    ]
    images = ImageList(torch.zeros(1, 3, *padded_hw), [padded_hw])
    actual = torch.cat([boxes.tensor for boxes in ours(features)])
    assert torch.equal(actual, theirs(images, features)[0])


def test_photos_of_800_pixels_have_cells_61_pixels_apart():
    """Counted by hand: 800 / 32 = 25 cells at p5, 13 at p6, 800 // 13 = 61."""
    generator = TorchvisionAnchorGenerator(
        sizes=[[32], [512]], aspect_ratios=[1.0], strides=[4, 64], offset=0.0
    )
    last = generator([torch.zeros(1, 1, 200, 200), torch.zeros(1, 1, 13, 13)])[1]
    assert last.tensor[1].tolist() == [61 - 256, -256, 61 + 256, 256]


def test_boxes_without_area_take_no_place():
    """Same detections as torchvision where most boxes lie outside of the photo."""
    torch.manual_seed(0)
    image_hw, weights = (60, 80), (10.0, 10.0, 5.0, 5.0)
    corner = torch.rand(300, 2) * 60
    proposals = torch.cat([corner, corner + 5 + torch.rand(300, 2) * 20], dim=1)
    logits, deltas = torch.randn(300, 2), torch.randn(300, 8) * 15
    heads = RoIHeads(*[None] * 3, 0.5, 0.5, 1, 0.5, weights, 0.05, 0.5, 20)
    (boxes,), (scores,), _ = heads.postprocess_detections(logits, deltas, [proposals], [image_hw])

    layers = TorchvisionOutputLayers(
        ShapeSpec(channels=4),
        box2box_transform=Box2BoxTransform(weights),
        num_classes=1,
        test_score_thresh=0.05,
        test_nms_thresh=0.5,
        test_topk_per_image=20,
    )
    predictions = logits.flip(1), deltas[:, 4:]
    arguments = predictions, [Instances(image_hw, proposal_boxes=Boxes(proposals))]
    (actual,), _ = layers.inference(*arguments)
    torch.testing.assert_close(actual.pred_boxes.tensor, boxes)
    torch.testing.assert_close(actual.scores, scores)
    (stock,), _ = super(TorchvisionOutputLayers, layers).inference(*arguments)
    assert not stock.pred_boxes.nonempty(0.01).all()
    (none,), _ = layers.inference(
        (logits[:0], deltas[:0, 4:]), [Instances(image_hw, proposal_boxes=Boxes(proposals[:0]))]
    )
    assert len(none) == 0
