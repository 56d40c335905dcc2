from pathlib import Path

import pytest
from helpers.random_weights import save_random_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the compact model, with a JSON beside them as training writes it."""
    return save_random_weights(tmp_path_factory.mktemp("weights"))
