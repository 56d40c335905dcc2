"""The switches of the keypoint heads: losses, learned score, attention and likelihood."""

import math

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads.keypoint_head import build_keypoint_head
from detectron2.structures import Boxes, Instances, Keypoints
from torch import nn

from pose_project.extras.refined_heads.global_context_head import (
    CellAttention,
    GlobalContextKeypointHead,
)
from pose_project.extras.refined_heads.likelihood_head import (
    ErrorFlow,
    LikelihoodKeypointHead,
    ScaledPoints,
)
from pose_project.extras.refined_heads.oks_loss import expected_oks_loss
from pose_project.extras.refined_heads.person_score import PersonScore, person_oks
from pose_project.modeling import SpatialSoftmaxKeypointHead, add_pose_config
from pose_project.modeling.spatial_softmax import SpatialSoftmax
from pose_project.structures import COCO_PERSON
from pose_project.utils import extras
from pose_project.utils.errors import InputError

SHAPE = ShapeSpec(channels=8, height=14, width=14)
SIGMAS = list(COCO_PERSON.oks_sigmas)
HEADS = {
    "softmax": (SpatialSoftmaxKeypointHead, {"oks_loss_weight": 1.0}),
    "global context": (GlobalContextKeypointHead, {"oks_loss_weight": 1.0, "num_heads": 2}),
    "likelihood": (LikelihoodKeypointHead, {}),
}


def make_head(name: str, **changes) -> nn.Module:
    torch.manual_seed(0)
    head, arguments = HEADS[name]
    arguments = {**arguments, "oks_sigmas": SIGMAS, "score_loss_weight": 1.0, **changes}
    return head(SHAPE, num_keypoints=17, conv_dims=[16] * 4, **arguments)


def labelled(count: int, visibility: float = 2.0) -> Instances:
    box = torch.tensor([[10.0, 10.0, 60.0, 110.0]]).repeat(count, 1)
    people = Instances((200, 200), proposal_boxes=Boxes(box), gt_boxes=Boxes(box.clone()))
    points = 10 + 50 * torch.rand(count, 17, 2)
    people.gt_keypoints = Keypoints(
        torch.cat([points, torch.full((count, 17, 1), visibility)], dim=2)
    )
    return people


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(
    ("counts", "visibility"),
    [((2,), 2.0), ((3, 0), 2.0), ((2,), 0.0), ((0, 0), 2.0)],
    ids=["labelled", "one photo empty", "nobody visible", "nobody"],
)
def test_losses_are_finite_and_reach_every_parameter(name, counts, visibility):
    head = make_head(name)
    instances = [labelled(count, visibility) for count in counts]
    losses = head(torch.randn(sum(counts), 8, 14, 14), instances)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    for parameter in head.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
    assert all(value.isfinite().all() for value in head.state_dict().values())
    if visibility == 0 or not any(counts):
        assert sum(losses.values()) == 0


@pytest.mark.parametrize("name", HEADS)
def test_nothing_flows_from_the_score_into_the_head(name):
    head = make_head(name)
    head(torch.randn(2, 8, 14, 14), [labelled(2)])["loss_person_score"].backward()
    touched = {key for key, each in head.named_parameters() if each.grad is not None}
    assert touched and all(key.startswith("person_score.") for key in touched)


@pytest.mark.parametrize("name", HEADS)
def test_people_are_ranked_by_the_learned_score(name):
    head = make_head(name).eval()
    photos = [
        Instances(
            (200, 200),
            pred_boxes=Boxes(torch.tensor([[10.0, 10, 60, 110]] * count)),
            scores=torch.linspace(0.9, 0.89, count),
            pred_classes=torch.zeros(count, dtype=torch.int64),
        )
        for count in (5, 0, 1)
    ]
    before = [each.scores.clone() for each in photos]
    features = 3 * torch.randn(6, 8, 14, 14)
    with torch.no_grad():
        oks = head.person_score.predict(
            head, head.layers(features), torch.cat([each.pred_boxes.tensor for each in photos])
        )
        found = head(features, photos)
    expected = (before[0] * oks[:5]).sort(descending=True).values
    torch.testing.assert_close(found[0].scores, expected)
    assert [len(each) for each in found] == [5, 0, 1]
    assert not any(each.has("pred_oks") for each in found)
    assert found is photos  # whoever holds the list sees the new order


@pytest.mark.parametrize("name", HEADS)
def test_weights_of_the_stock_head_load_where_shapes_are_the_same(name):
    stock = SpatialSoftmaxKeypointHead(SHAPE, num_keypoints=17, conv_dims=[16] * 4).state_dict()
    head = make_head(name)
    own = head.state_dict()
    taken = [key for key, value in stock.items() if key in own and own[key].shape == value.shape]
    convs = [f"conv_fcn{i}.{part}" for i in range(1, 5) for part in ("weight", "bias")]
    last = ["score_lowres.weight", "score_lowres.bias"]
    expected = {
        "softmax": convs + last,
        "global context": [*convs[1:], *last],  # the first has more inputs
        "likelihood": convs,
    }
    assert sorted(taken) == sorted(expected[name])


@pytest.mark.parametrize("head", [SpatialSoftmaxKeypointHead, LikelihoodKeypointHead])
def test_sigmas_are_needed_for_a_score(head):
    with pytest.raises(ValueError, match="needs oks_sigmas"):
        head(SHAPE, num_keypoints=17, conv_dims=[16], score_loss_weight=1.0)
    with pytest.raises(ValueError, match="16 oks_sigmas for 17 keypoints"):
        head(SHAPE, num_keypoints=17, conv_dims=[16], score_loss_weight=1.0, oks_sigmas=SIGMAS[1:])


def test_a_sure_map_loses_what_its_oks_lacks():
    """With all of the probability in one cell the expectation is the OKS of that cell."""
    logits = torch.full((1, 17, 56, 56), -50.0)
    logits[:, :, 20, 30] = 50.0
    region = torch.tensor([[0.0, 0, 112, 112]])
    softmax = SpatialSoftmax.of(logits, region)
    truth = torch.cat([100 * torch.rand(1, 17, 2), torch.ones(1, 17, 1)], dim=2)
    truth[0, ::2, 2] = 0
    sigmas, areas = torch.tensor(SIGMAS), torch.tensor([4000.0])
    loss = expected_oks_loss(softmax, truth, sigmas, areas, truth[..., 2].sum())
    place = torch.tensor([61.0, 41.0]).expand(1, 17, 2)
    torch.testing.assert_close(1 - loss, person_oks(place, truth, sigmas, areas)[0])


def test_the_oks_loss_moves_maps_towards_the_keypoint():
    logits = torch.zeros(1, 17, 56, 56, requires_grad=True)
    region = torch.tensor([[0.0, 0, 56, 56]])
    truth = torch.tensor([[[20.5, 30.5, 2.0]] * 17])
    loss = expected_oks_loss(
        SpatialSoftmax.of(logits, region), truth, torch.tensor(SIGMAS), torch.tensor([900.0]), 17.0
    )
    loss.backward()
    assert (logits.grad.flatten(2).argmin(dim=2) == 30 * 56 + 20).all()


def test_a_score_can_be_learned():
    """Maps that are sharp are right and blurred ones wrong; after some steps the branch knows."""
    torch.manual_seed(0)
    region = torch.tensor([[0.0, 0, 56, 56]]).repeat(64, 1)
    sharp = torch.arange(64) % 2 == 0
    peaks = torch.zeros(64, 17, 28, 28)
    peaks[:, :, 14, 14] = 1
    steepness = torch.where(sharp, 12.0, 4.0) + torch.rand(64)
    softmax = SpatialSoftmax.of(peaks * steepness[:, None, None, None], region)
    truth = torch.where(sharp, 0.9, 0.2)
    score, areas = PersonScore(SIGMAS), torch.full((64,), 1600.0)
    optimizer = torch.optim.Adam(score.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        logits = score(softmax, areas)
        nn.functional.binary_cross_entropy_with_logits(logits, truth).backward()
        optimizer.step()
    assert (score(softmax, areas).sigmoid() - truth).abs().max() < 0.1


def test_attention_is_pytorchs_on_the_same_weights():
    torch.manual_seed(0)
    ours, theirs = CellAttention(16, 4, 5), nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.to_qkv.weight,
            "in_proj_bias": ours.to_qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    x = torch.randn(3, 16, 5, 5)
    cells = x.flatten(2).transpose(1, 2)
    with torch.no_grad():
        with_positions = ours(x)
        ours.rows.zero_(), ours.columns.zero_()
        expected = theirs(cells, cells, cells, need_weights=False)[0].transpose(1, 2)
        torch.testing.assert_close(ours(x), expected.reshape_as(x))
    assert not torch.allclose(with_positions, expected.reshape_as(x), atol=1e-3)


def test_positions_are_relative():
    """With equal features everywhere, what a cell prefers depends on how far away others are."""
    torch.manual_seed(0)
    attention = CellAttention(8, 2, 4)
    query = torch.randn(8 // 2)
    by_row = attention.rows[attention.away] @ query  # (query row, key row)
    torch.testing.assert_close(by_row[0, 1], by_row[2, 3])
    torch.testing.assert_close(by_row[3, 1], by_row[2, 0])
    assert not torch.allclose(by_row[0, 1], by_row[1, 0])


def test_widths_that_attention_cannot_split_are_refused():
    for conv_dims in ([16, 8], [6, 6]):
        with pytest.raises(ValueError, match="conv_dims must be equal"):
            GlobalContextKeypointHead(SHAPE, num_keypoints=17, conv_dims=conv_dims)


def test_the_flow_integrates_to_one():
    torch.manual_seed(3)
    flow = ErrorFlow()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.3)
    step = 0.1
    axis = torch.arange(-25, 25, step) + step / 2
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=2).flatten(0, 1)
    with torch.no_grad():
        density = flow.log_density(grid).exp()
    assert float(density.sum() * step**2) == pytest.approx(1, abs=5e-3)
    normal = (-(grid**2).sum(dim=1) / 2).exp() / (2 * math.pi)
    assert float((density - normal).abs().sum() * step**2) > 0.1  # it is another density


def test_moments_of_scaled_points_by_drawing():
    torch.manual_seed(0)
    xy, variances = 50 * torch.rand(1, 17, 2), 4 + 30 * torch.rand(1, 17, 2)
    points = ScaledPoints(xy, variances)
    drawn = xy + variances.sqrt() * torch.randn(40_000, 17, 2)
    told, sigmas, areas = xy + 2, torch.tensor(SIGMAS), torch.tensor([2000.0])
    squared = (drawn - told).square().sum(dim=2)
    expected = (-squared / (2 * (2 * sigmas) ** 2 * areas)).exp().mean(dim=0)
    found = points.expected_similarity(told, sigmas, areas)[0]
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)
    round_ = ScaledPoints(xy, variances[..., :1].expand(1, 17, 2))
    drawn = round_.squares.sqrt() * torch.randn(40_000, 17, 2)
    inside = (drawn.norm(dim=2) < 5).float().mean(dim=0)
    radii = torch.full((1, 17), 5.0)
    torch.testing.assert_close(round_.probability_within(xy, radii)[0], inside, atol=0.01, rtol=0)


def test_a_likelihood_head_learns_where_keypoints_are():
    """The loss falls, and so do the scales, once the mean is right."""
    head = make_head("likelihood", score_loss_weight=0.0)
    torch.manual_seed(1)
    people, features = [labelled(4)], torch.randn(4, 8, 14, 14)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = head(features, people)["loss_keypoint"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 2
    with torch.no_grad():
        outputs = head.layers(features)
    points = head.points(outputs, people[0].proposal_boxes.tensor)
    truth = people[0].gt_keypoints.tensor[..., :2]
    centre = torch.tensor([35.0, 60.0])
    assert (points[..., :2] - truth).norm(dim=2).mean() < (truth - centre).norm(dim=2).mean() / 3


def test_a_likelihood_head_tells_places_apart_that_no_border_gives_away():
    """All keypoints are where the one bright cell is: what a mean over the region cannot tell."""
    head = make_head("likelihood", score_loss_weight=0.0)
    people, features = [labelled(4)], torch.zeros(4, 8, 14, 14)
    for person, (column, row) in enumerate([(5, 5), (8, 5), (5, 8), (8, 8)]):
        features[person, :, row, column] = 5
        place = torch.tensor([10 + 50 * (column + 0.5) / 14, 10 + 100 * (row + 0.5) / 14])
        people[0].gt_keypoints.tensor[person, :, :2] = place
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        head(features, people)["loss_keypoint"].backward()
        optimizer.step()
    with torch.no_grad():
        points = head.points(head.layers(features), people[0].proposal_boxes.tensor)
    errors = (points[..., :2] - people[0].gt_keypoints.tensor[..., :2]).norm(dim=2)
    assert errors.max() < 5  # of 10.7 between the nearest two


@pytest.mark.parametrize("name", ["GlobalContextKeypointHead", "LikelihoodKeypointHead"])
def test_by_name_from_a_yacs_config(name):
    cfg = get_cfg()
    add_pose_config(cfg)
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = name
    cfg.MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS = (16, 16)
    assert type(build_keypoint_head(cfg, SHAPE)).__name__ == name


def test_without_the_extra_its_switches_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(extras, "EXTRAS", "pose_project.nothing")
    with pytest.raises(InputError, match="^score_loss_weight needs pose_project/extras/refined_"):
        make_head("softmax", oks_loss_weight=0.0)
    with pytest.raises(InputError, match="^oks_loss_weight needs pose_project/extras/refined_h"):
        make_head("softmax", score_loss_weight=0.0)
