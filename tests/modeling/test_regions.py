"""Room around people: enlarged, pooled, encoded and decoded alike; and masks that only teach."""

import copy

import numpy as np
import pytest
import torch
from detectron2.config import instantiate
from detectron2.data import transforms as T
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from detectron2.utils.events import EventStorage
from helpers.models import make_photos
from helpers.refined import make_refined

from configs.common import refined
from pose_project.data import KeypointMapper
from pose_project.engine import load_config
from pose_project.modeling import PoseROIHeads, encode_keypoints
from pose_project.modeling.keypoint_predictions import enlarge

CONFIG = "configs/quick/synthetic.py"
SMALL = ["model.roi_heads.keypoint_head.conv_dims=[16,16]"]


def random_boxes(count: int) -> torch.Tensor:
    torch.manual_seed(count)
    corner = 200 * torch.rand(count, 2)
    return torch.cat([corner, corner + 1 + 100 * torch.rand(count, 2)], dim=1)


def test_enlarged_by_hand():
    found = enlarge(torch.tensor([[10.0, 20, 30, 60]]), 1.5)
    assert found.tolist() == [[5.0, 10.0, 35.0, 70.0]]


@pytest.mark.parametrize("scale", [1.0, 1.3, 2.0])
def test_enlarging_is_undone_and_changes_nothing_that_is_given(scale):
    boxes = random_boxes(50)
    before = boxes.clone()
    torch.testing.assert_close(enlarge(enlarge(boxes, scale), 1 / scale), boxes)
    assert torch.equal(boxes, before)
    assert enlarge(boxes, 1.0) is boxes
    assert enlarge(torch.zeros(0, 4), scale).shape == (0, 4)


def test_points_beyond_a_box_are_reached_within_half_a_cell():
    """A fifteenth beyond each edge: not valid in the box, and found again in the region."""
    boxes = random_boxes(20)
    sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
    share = torch.tensor([[-1 / 15, 0.5], [1 + 1 / 15, 0.5], [0.5, -1 / 15], [0.5, 1 + 1 / 15]])
    points = boxes[:, None, :2] + share * sides
    keypoints = torch.cat([points, torch.full((20, 4, 1), 2.0)], dim=2)
    assert not encode_keypoints(keypoints, boxes, 56)[1].any()
    regions = enlarge(boxes, 1.3)
    targets, valid = encode_keypoints(keypoints, regions, 56)
    assert valid.all()
    cells = torch.stack([targets % 56, targets // 56], dim=2) + 0.5
    cell_wh = ((regions[:, 2:] - regions[:, :2]) / 56)[:, None]
    assert ((regions[:, None, :2] + cells * cell_wh - points).abs() <= 0.51 * cell_wh).all()


def training_batch(**fields) -> list[dict]:
    photo = make_photos(256)[0]
    people = Instances((192, 256), gt_boxes=Boxes(torch.tensor([[40.0, 30, 90, 150]] * 2)))
    people.gt_classes = torch.zeros(2, dtype=torch.int64)
    # the first person's points lie just outside of the box, the second's inside
    outside, inside = torch.tensor([[36.0, 80, 2]] * 17), torch.tensor([[60.0, 80, 2]] * 17)
    people.gt_keypoints = Keypoints(torch.stack([outside, inside]))
    for name, value in fields.items():
        people.set(name, value)
    return [{**photo, "instances": people}]


def losses_of(model, batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    with EventStorage():
        return model.train()(batch)


def test_with_both_switches_off_the_heads_are_the_stock_ones():
    cfg = load_config(CONFIG, SMALL)
    torch.manual_seed(0)
    stock = instantiate(cfg.model)
    cfg.model.roi_heads._target_ = PoseROIHeads
    ours = instantiate(cfg.model)
    ours.load_state_dict(stock.state_dict())
    batch = training_batch()
    expected, found = losses_of(stock, batch), losses_of(ours, copy.deepcopy(batch))
    assert expected.keys() == found.keys()
    for name, loss in expected.items():
        assert torch.equal(found[name], loss)


def test_regions_are_pooled_in_training_and_in_use():
    """What the pooler is given is the box, enlarged; what people are given back is the box."""
    model = make_refined("regions, OKS loss and score", CONFIG, *SMALL)
    seen = []
    model.roi_heads.keypoint_pooler.register_forward_hook(
        lambda module, arguments, output: seen.append(arguments[1])
    )
    box = Boxes(torch.tensor([[40.0, 30, 90, 150]]))
    features = {
        name: torch.randn(1, 64, 48 // 2**i, 64 // 2**i)
        for i, name in enumerate(("p2", "p3", "p4", "p5"))
    }
    model.eval()
    given = Instances((192, 256), pred_boxes=box, scores=torch.ones(1))
    given.pred_classes = torch.zeros(1, dtype=torch.int64)
    (found,) = model.roi_heads.forward_with_given_boxes(features, [given])
    torch.testing.assert_close(seen[0][0].tensor, torch.tensor([[32.5, 12, 97.5, 168]]))
    assert torch.equal(found.pred_boxes.tensor, box.tensor)
    proposals = Instances((192, 256), proposal_boxes=box, gt_boxes=box)
    proposals.gt_classes = torch.zeros(1, dtype=torch.int64)
    proposals.gt_keypoints = Keypoints(torch.tensor([[[36.0, 80, 2]] * 17]))
    model.roi_heads.train()
    with EventStorage():
        losses = model.roi_heads._forward_keypoint(features, [proposals])
    assert torch.equal(seen[1][0].tensor, seen[0][0].tensor)
    assert losses["loss_keypoint"] > 0  # all points lie outside of the box
    assert torch.equal(proposals.proposal_boxes.tensor, box.tensor)


def test_a_region_smaller_than_the_box_is_refused():
    with pytest.raises(ValueError, match="region_scale must be at least 1"):
        PoseROIHeads(region_scale=0.9)


@pytest.fixture(scope="module")
def taught():
    cfg = load_config(CONFIG, SMALL)
    refined.teach_with_masks(cfg.model, cfg.dataloader)
    cfg.model.roi_heads.mask_head.update(conv_dims=[8])
    torch.manual_seed(0)
    return instantiate(cfg.model)


def test_people_without_a_mask_take_no_part_in_its_loss(taught):
    """One person with polygons beside one without: the loss of the first one's proposals alone."""
    square = [np.array([50.0, 40, 80, 40, 80, 120, 50, 120])]
    first = Boxes(torch.tensor([[40.0, 30, 90, 150]]))

    def proposals(masks: list) -> Instances:
        count = len(masks)
        each = Instances((192, 256), proposal_boxes=Boxes(first.tensor.repeat(count, 1)))
        each.gt_classes = torch.zeros(count, dtype=torch.int64)
        each.gt_masks = PolygonMasks(masks)
        return each

    features = {f"p{i}": torch.randn(1, 64, 192 // 2**i, 256 // 2**i) for i in range(2, 6)}
    taught.train()
    with EventStorage():
        forward = taught.roi_heads._forward_mask
        alone = forward(features, [proposals([square])])["loss_mask"]
        beside = forward(features, [proposals([square, []])])["loss_mask"]
        nobody = forward(features, [proposals([[]])])["loss_mask"]
    assert alone > 0
    torch.testing.assert_close(beside, alone)
    assert nobody == 0
    nobody.backward()
    assert all(each.grad.isfinite().all() for each in taught.roi_heads.mask_head.parameters())


def test_masks_are_not_predicted(taught):
    taught.eval()
    with torch.no_grad():
        (found,) = taught(make_photos(256))
    assert not found["instances"].has("pred_masks")


def test_whoever_has_no_mask_is_kept_where_masks_only_teach(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    person = {"bbox": [5, 5, 20, 30], "bbox_mode": 1, "category_id": 0, "iscrowd": 0}
    masked = {**person, "segmentation": [[5.0, 5, 25, 5, 25, 35]]}
    photo = {"file_name": str(tmp_path / "a.png"), "height": 48, "width": 64}
    photo["annotations"] = [person, masked]
    for keep, expected in ((True, [False, True]), (False, [True])):
        mapper = KeypointMapper(
            [T.NoOpTransform()], [0], use_instance_mask=True, keep_without_mask=keep
        )
        assert mapper(photo)["instances"].gt_masks.nonempty().tolist() == expected
