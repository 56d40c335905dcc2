"""A device that is none: skipped where PyTorch cannot be taught one in Python."""

from collections.abc import Iterator

import pytest
from helpers.fake_gpu import IS_SUPPORTED, plugged_in


@pytest.fixture(scope="package", autouse=True)
def fake_gpu() -> Iterator[str]:
    """The name of the pretended GPU."""
    if not IS_SUPPORTED:
        pytest.skip("this PyTorch has no Python backend for PrivateUse1; 2.11 has")
    with plugged_in() as device:
        yield device
