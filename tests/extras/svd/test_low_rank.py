"""Truncated SVD: it is the best approximation of its rank, and a box head made of it is one."""

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import FastRCNNConvFCHead
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pose_project.extras.svd.low_rank import LinearSVD, LowRankBoxHead, truncated_state_dict
from pose_project.utils.errors import InputError

SHAPE = ShapeSpec(channels=4, height=3, width=3)
SIZES = {"conv_dims": [6], "fc_dims": [20, 12]}


@st.composite
def layers_and_ranks(draw) -> tuple[nn.Linear, int]:
    inputs, outputs = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    layer = nn.Linear(inputs, outputs, bias=draw(st.booleans()))
    nn.init.normal_(layer.weight, std=draw(st.sampled_from([1e-3, 1.0, 30.0])))
    return layer, draw(st.integers(1, min(inputs, outputs)))


def product(split: nn.Sequential) -> torch.Tensor:
    return split.u.weight.double() @ split.sigma_vt.weight.double()


@given(layers_and_ranks())
def test_the_error_is_the_least_that_a_rank_allows(layer_and_rank):
    """Eckart and Young: the squared error is the sum of the squared singular values cut off."""
    layer, rank = layer_and_rank
    weight = layer.weight.detach().double()
    split = LinearSVD.of(layer).split(rank)
    sigma = torch.linalg.svdvals(weight)
    error = (weight - product(split)).norm()
    scale = weight.norm().item()
    assert error.item() == pytest.approx(sigma[rank:].norm().item(), abs=1e-5 * scale)
    assert torch.linalg.matrix_rank(product(split), rtol=1e-5) <= rank


@given(layers_and_ranks())
def test_no_other_matrix_of_the_rank_is_closer(layer_and_rank):
    """Not even the best fit of U to random rows, nor what lies next to the result."""
    layer, rank = layer_and_rank
    weight = layer.weight.detach().double()
    split = LinearSVD.of(layer).split(rank)
    best = (weight - product(split)).norm()
    rows = torch.randn(rank, layer.in_features).double()
    fitted = torch.linalg.lstsq(rows.T, weight.T, driver="gelsd").solution.T @ rows
    u, sigma_vt = split.u.weight.double(), split.sigma_vt.weight.double()
    nearby = (u + 0.01 * torch.randn_like(u)) @ (sigma_vt + 0.01 * torch.randn_like(sigma_vt))
    slack = 1e-5 * weight.norm()
    assert best <= (weight - fitted).norm() + slack
    assert best <= (weight - nearby).norm() + slack


@given(layers_and_ranks())
def test_energy_is_what_the_error_leaves(layer_and_rank):
    layer, rank = layer_and_rank
    weight = layer.weight.detach().double()
    svd = LinearSVD.of(layer)
    lost = (weight - product(svd.split(rank))).square().sum() / weight.square().sum()
    assert svd.energy(rank) == pytest.approx(1 - lost.item(), abs=1e-6)
    energies = [svd.energy(each) for each in range(1, len(svd.sigma) + 1)]
    assert energies == sorted(energies)
    assert energies[-1] == pytest.approx(1)


@given(layers_and_ranks())
def test_parameters_are_t_times_u_plus_v(layer_and_rank):
    layer, rank = layer_and_rank
    split = LinearSVD.of(layer).split(rank)
    outputs, inputs = layer.weight.shape
    bias = 0 if layer.bias is None else outputs
    assert sum(each.numel() for each in split.parameters()) == rank * (outputs + inputs) + bias
    assert split.sigma_vt.bias is None


@pytest.mark.parametrize(("inputs", "outputs"), [(3136, 256), (64, 300)])
def test_full_rank_is_the_layer_itself(inputs, outputs):
    torch.manual_seed(0)
    layer, x = nn.Linear(inputs, outputs), torch.randn(50, inputs)
    split = LinearSVD.of(layer).split(min(inputs, outputs))
    torch.testing.assert_close(split(x), layer(x), atol=1e-4, rtol=0)


def test_the_first_layer_has_sigma_and_the_second_orthonormal_columns():
    layer = nn.Linear(9, 7)
    svd = LinearSVD.of(layer)
    split = svd.split(3)
    torch.testing.assert_close(split.u.weight.T @ split.u.weight, torch.eye(3))
    torch.testing.assert_close(split.sigma_vt.weight.norm(dim=1), svd.sigma[:3].float())
    assert torch.equal(split.u.bias, layer.bias)


def test_weights_that_are_all_zero():
    layer = nn.Linear(5, 4)
    nn.init.zeros_(layer.weight)
    svd = LinearSVD.of(layer)
    assert svd.energy(1) == 1
    assert torch.equal(svd.split(2)(torch.ones(1, 5))[0], layer.bias)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    layer = nn.Linear(5, 4)
    nn.init.constant_(layer.weight, value)
    with pytest.raises(InputError, match="infinite or NaN"):
        LinearSVD.of(layer)


@pytest.mark.parametrize("rank", [0, -1, 5, 2.0, True, None])
def test_a_rank_out_of_range_is_refused_with_the_interval(rank):
    with pytest.raises(InputError, match="from 1 to 4$"):
        LinearSVD.of(nn.Linear(6, 4)).split(rank)
    with pytest.raises(InputError, match="from 1 to 4$"):
        LowRankBoxHead(
            ShapeSpec(channels=6, height=1, width=1), conv_dims=[], fc_dims=[4], ranks=[rank]
        )


@pytest.mark.parametrize("ranks", [[], [3], [3, 3, 3]])
def test_each_layer_needs_a_rank(ranks):
    with pytest.raises(InputError, match=f"{len(ranks)} ranks for 2 fully connected layers"):
        LowRankBoxHead(SHAPE, **SIZES, ranks=ranks)


def test_a_box_head_at_full_rank_gives_what_the_stock_one_gives():
    torch.manual_seed(0)
    stock = FastRCNNConvFCHead(SHAPE, **SIZES)
    for layer in stock.fcs:
        nn.init.normal_(layer.bias)
    ours = LowRankBoxHead(SHAPE, **SIZES, ranks=[20, 12])
    decomposed = [LinearSVD.of(layer) for layer in stock.fcs]
    ours.load_state_dict(truncated_state_dict(stock, decomposed, [20, 12]), strict=True)
    x = torch.randn(10, 4, 3, 3)
    torch.testing.assert_close(ours(x), stock(x), atol=1e-4, rtol=0)
    assert ours.output_shape == stock.output_shape


def test_a_box_head_learns_in_all_its_layers():
    torch.manual_seed(0)
    head = LowRankBoxHead(SHAPE, **SIZES, ranks=[3, 2])
    head(torch.randn(10, 4, 3, 3)).square().sum().backward()
    assert {name.partition(".")[0] for name, _ in head.named_parameters()} == {
        *("conv1", "fc1", "fc2")
    }
    assert all(each.grad.abs().sum() > 0 for each in head.parameters())
    sizes = {name: tuple(each.shape) for name, each in head.named_parameters() if "fc" in name}
    assert sizes == {
        "fc1.sigma_vt.weight": (3, 54),
        "fc1.u.weight": (20, 3),
        "fc1.u.bias": (20,),
        "fc2.sigma_vt.weight": (2, 20),
        "fc2.u.weight": (12, 2),
        "fc2.u.bias": (12,),
    }


def test_random_weights_have_the_variance_of_the_layer_they_stand_for():
    torch.manual_seed(0)
    head = LowRankBoxHead(SHAPE, conv_dims=[], fc_dims=[400], ranks=[30])
    stock = FastRCNNConvFCHead(SHAPE, conv_dims=[], fc_dims=[400])
    assert product(head.fc1).std().item() == pytest.approx(stock.fc1.weight.std().item(), rel=0.1)
