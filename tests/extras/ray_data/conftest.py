from pathlib import Path

import numpy as np
import pytest
from helpers.random_weights import save_random_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the compact model, with a JSON beside them as training writes it."""
    return save_random_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Three photos, two of which have the same size."""
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (200, 90), (120, 160)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
