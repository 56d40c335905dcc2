"""What ``torch.compile`` makes of the parts: whole graphs, once for all sizes."""

from collections.abc import Callable

import pytest
import torch
from helpers.models import make_model
from torch import nn
from torch._dynamo.testing import CompileCounter


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return make_model()


# A CPU takes other convolutions for large inputs, and these are compiled once more.
SIZES = (4, 6, 9)


def backbone(model: nn.Module, size: int) -> tuple[Callable, tuple]:
    return model.backbone, (torch.zeros(1, 3, 64 * size, 64 * size + 96),)


def proposals(model: nn.Module, size: int) -> tuple[Callable, tuple]:
    return model.proposal_generator.rpn_head, ([torch.zeros(1, 64, 4 * size, 5 * size)],)


def boxes(model: nn.Module, size: int) -> tuple[Callable, tuple]:
    return model.roi_heads.box_head, (torch.zeros(5 * size, 64, 7, 7),)


def keypoints(model: nn.Module, size: int) -> tuple[Callable, tuple]:
    return model.roi_heads.keypoint_head.layers, (torch.zeros(2 * size, 64, 14, 14),)


@pytest.mark.integration
@pytest.mark.parametrize("part", [backbone, proposals, boxes, keypoints])
def test_graphs_do_not_break_and_fit_all_sizes(model, part):
    torch._dynamo.reset()
    function, inputs = part(model, SIZES[0])
    with torch.no_grad():
        explanation = torch._dynamo.explain(function)(*inputs)
    assert (explanation.graph_break_count, explanation.graph_count) == (0, 1)
    counter = CompileCounter()
    compiled = torch.compile(function, backend=counter, dynamic=True)
    with torch.no_grad():
        for size in SIZES:
            expected, found = (each(*part(model, size)[1]) for each in (function, compiled))
            torch.testing.assert_close(found, expected)
    assert counter.frame_count <= 2
