"""What bounds a server, without one."""

import asyncio

import numpy as np
import pytest
from helpers.server import SMALL  # noqa: F401 - skips where FastAPI is missing

from pose_project.extras.serve.app import _Slots
from pose_project.extras.serve.batching import BatchingPredictor
from pose_project.extras.serve.limits import ClientRates


def test_a_tenth_of_a_minutes_requests_may_come_at_once():
    now = [100.0]
    rates = ClientRates(60, clock=lambda: now[0])
    assert [rates.seconds_to_wait("a") for _ in range(6)] == [0] * 6
    assert rates.seconds_to_wait("a") == pytest.approx(1)
    assert rates.seconds_to_wait("b") == 0  # others are not touched
    now[0] += 1
    assert rates.seconds_to_wait("a") == 0
    assert rates.seconds_to_wait("a") > 0
    assert ClientRates(0).seconds_to_wait("a") == 0


def test_one_address_never_takes_all_slots():
    slots = _Slots(4)
    first, second = slots.take("slow"), slots.take("slow")
    with first, second:
        with pytest.raises(Exception) as refused, slots.take("slow"):
            pass
        assert refused.value.status_code == 429 and refused.value.headers["Retry-After"] == "1"
        with slots.take("other"), slots.take("third"):
            with pytest.raises(Exception) as refused, slots.take("fourth"):
                pass
            assert refused.value.status_code == 503
    with slots.take("slow"), slots.take("slow"):
        assert slots.free == 2
    assert slots.free == 4 and not slots.of_address


class _Fails:
    """Predicts sums; photos that sum up to nothing are too much for it."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, images):
        self.batches.append(len(images))
        if any(image.sum() == 0 for image in images):
            raise ValueError("nothing in it")
        return [int(image.sum()) for image in images]


def test_a_photo_that_fails_takes_no_other_of_its_batch_with_it():
    model = _Fails()

    async def ask() -> list:
        async with BatchingPredictor(model, max_batch=4, seconds=0.2) as batches:
            images = [np.full((1, 1, 3), value, np.uint8) for value in (1, 0, 2)]
            return await asyncio.gather(*map(batches.predict, images), return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert (first, third) == (3, 6)
    assert isinstance(second, ValueError)
    assert model.batches[0] == 3  # they went through the model together
