import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling import all_reduce_seconds, estimate


def test_one_gpu_only_computes():
    one = estimate(0.1, 16, 1000, 60_000_000, gpus=1, bandwidth=1e9)
    assert one.iteration_s == pytest.approx(1.6)
    assert one.images_per_s == pytest.approx(10)
    assert one.hours == pytest.approx(1600 / 3600)
    assert one.efficiency == 1


def test_a_ring_moves_nearly_twice_the_data():
    assert all_reduce_seconds(1e9, gpus=2, bandwidth=1e9, latency=0) == pytest.approx(1)
    assert all_reduce_seconds(1e9, gpus=1000, bandwidth=1e9, latency=0) == pytest.approx(1.998)


def test_the_last_bucket_is_never_hidden():
    """25 MB of 240 MB remain after the backward pass, however long that takes."""
    two = estimate(10.0, 16, 1, 60_000_000, gpus=2, bandwidth=1e9, latency=0)
    assert two.iteration_s - 80 == pytest.approx(0.025)


@given(st.floats(1e-3, 10), st.sampled_from([1, 2, 4, 8]), st.floats(1e8, 1e12))
def test_more_gpus_never_cost_more_than_they_share(image_s, gpus, bandwidth):
    one = estimate(image_s, 8, 100, 60_000_000, 1, bandwidth)
    many = estimate(image_s, 8, 100, 60_000_000, gpus, bandwidth)
    assert one.iteration_s / gpus <= many.iteration_s * (1 + 1e-9)
    assert 0 < many.efficiency <= 1
