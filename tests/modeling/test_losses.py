import math

import torch

from pose_project.modeling import keypoint_loss


def test_uniform_logits_cost_the_log_of_the_cells():
    logits = torch.zeros(2, 3, 28, 28)
    loss = keypoint_loss(logits, torch.zeros(2, 3).long(), torch.ones(2, 3).bool(), 6.0)
    assert math.isclose(loss.item(), math.log(28 * 28), rel_tol=1e-6)


def test_only_valid_keypoints_get_a_gradient():
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    keypoint_loss(logits, torch.tensor([[5, 6]]), torch.tensor([[True, False]]), 1.0).backward()
    assert logits.grad[0, 0].abs().sum() > 0
    assert logits.grad[0, 1].abs().sum() == 0


def test_no_valid_keypoint_is_zero_with_a_zero_gradient_even_for_infinite_logits():
    logits = torch.full((2, 3, 4, 4), math.inf, requires_grad=True)
    loss = keypoint_loss(logits, torch.zeros(2, 3).long(), torch.zeros(2, 3).bool(), 1.0)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_no_instance():
    logits = torch.zeros(0, 17, 56, 56, requires_grad=True)
    loss = keypoint_loss(logits, torch.zeros(0, 17).long(), torch.zeros(0, 17).bool(), 1.0)
    loss.backward()
    assert loss.item() == 0


def test_low_precision_logits_are_scored_in_float32():
    torch.manual_seed(0)
    logits = (10 * torch.randn(2, 3, 56, 56)).bfloat16()
    targets, valid = torch.randint(56 * 56, (2, 3)), torch.ones(2, 3).bool()
    low = keypoint_loss(logits, targets, valid, 6.0)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, keypoint_loss(logits.float(), targets, valid, 6.0))
