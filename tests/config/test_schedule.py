import logging

import pytest
import torch
from detectron2.solver import LRMultiplier

from pose_project.engine import WarmupCosine, WarmupMultiStep
from pose_project.utils.errors import InputError


def rates(schedule, max_iter: int, per_epoch: int) -> list[float]:
    """The learning rates that an optimizer really gets, at base rate 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = LRMultiplier(optimizer, schedule.build(max_iter, per_epoch), max_iter)
    seen = []
    for _ in range(max_iter):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_the_slides_schedule(caplog):
    caplog.set_level(logging.INFO, "pose_project")
    slides = WarmupMultiStep([36, 43], warmup_within_epoch=True)
    lr = rates(slides, max_iter=42 * 5, per_epoch=5)
    assert lr[0] == pytest.approx(1 / 1000)
    assert lr[4] == pytest.approx(1.0)  # warm-up over 5 - 1 iterations, less than 1000
    assert lr[36 * 5 - 1] == pytest.approx(1.0)
    assert lr[36 * 5] == pytest.approx(0.1)
    assert lr[-1] == pytest.approx(0.1)  # the second milestone is never reached, and says so
    assert "Milestone 43 (epochs) is iteration 215 of 210 and will never be reached" in caplog.text


def test_both_decays_fire_in_46_epochs():
    lr = rates(WarmupMultiStep([36, 43], warmup_within_epoch=True), 46 * 5, 5)
    assert lr[43 * 5 - 1 : 43 * 5 + 1] == pytest.approx([0.1, 0.01])


def test_zoo_schedule_counts_iterations():
    lr = rates(WarmupMultiStep([60, 80], unit="iterations", warmup_iters=10), 90, 7)
    assert lr[5] == pytest.approx(0.001 + 0.999 * 0.5)
    assert (lr[59], lr[60], lr[80]) == pytest.approx((1, 0.1, 0.01))


def test_long_warmup_in_iterations_whatever_the_epoch():
    lr = rates(WarmupMultiStep([100], warmup_iters=1000), max_iter=2000, per_epoch=300)
    assert lr[500] == pytest.approx(0.5, abs=1e-2)


def test_cosine_ends_at_its_final_factor():
    lr = rates(WarmupCosine(warmup_iters=10, final_factor=0.1), 1000, 50)
    assert max(lr) <= 1
    assert lr[500] == pytest.approx(0.55, abs=1e-3)
    assert lr[-1] == pytest.approx(0.1, abs=1e-4)


def test_nonsense_is_refused():
    with pytest.raises(InputError, match="epochs or iterations"):
        WarmupMultiStep([1], unit="hours").build(10, 5)
    with pytest.raises(InputError, match="must increase"):
        WarmupMultiStep([2, 1]).build(10, 5)
