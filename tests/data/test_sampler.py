import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.data.sampler import PositionalBatchSampler

SIZES = [(480, 640)] * 13 + [(640, 480)] * 8


def batches(count: int, first: int = 0, **changes) -> list[list[tuple[int, int]]]:
    sampler = PositionalBatchSampler(SIZES, **{"total_batch_size": 4, "seed": 7, **changes})
    sampler.first_batch = first
    return list(itertools.islice(sampler, count))


@settings(max_examples=30)
@given(st.integers(0, 60), st.integers(0, 5))
def test_any_batch_can_be_reached_directly(first, seed):
    assert batches(5, first, seed=seed) == batches(first + 5, seed=seed)[first:]


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_what_one_process_would_see(world_size):
    alone = batches(12)
    shares = [batches(12, rank=rank, world_size=world_size) for rank in range(world_size)]
    together = [list(itertools.chain(*parts)) for parts in zip(*shares, strict=True)]
    assert together == alone


def test_orientations_are_apart():
    for batch in batches(40):
        assert len({SIZES[index][1] > SIZES[index][0] for _, index in batch}) == 1


def test_every_photo_once_a_pass_and_every_position_once():
    drawn = list(itertools.chain(*batches(100)))
    positions = [position for position, _ in drawn]
    assert len(set(positions)) == len(positions)
    by_position = dict(drawn)
    first_pass = [by_position[p] for p in range(len(SIZES)) if p in by_position]
    assert sorted(first_pass) == list(range(len(SIZES)))


def test_passes_and_seeds_differ():
    drawn = dict(itertools.chain(*batches(100)))
    passes = [[drawn[n * 21 + p] for p in range(21)] for n in range(3)]
    assert passes[0] != passes[1] != passes[2]
    assert batches(5, seed=1) != batches(5, seed=2)


def test_impossible_shares_are_refused():
    with pytest.raises(ValueError, match="cannot be shared by 3"):
        PositionalBatchSampler(SIZES, 4, 0, world_size=3)
    with pytest.raises(ValueError, match="no photo"):
        PositionalBatchSampler(np.zeros((0, 2)), 4, 0)
