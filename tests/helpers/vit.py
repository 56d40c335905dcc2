"""What ViTDet needs of Detectron2."""

from importlib.util import find_spec

import pytest
from detectron2 import modeling


def skip_without_vit(config: str) -> None:
    """Skip the test of a config with a ViT where Detectron2 has none, or not all that it needs."""
    if "vit" not in config:
        return
    if not hasattr(modeling, "ViT"):
        pytest.skip("release 0.6 of Detectron2 has no ViT")
    if find_spec("timm") is None:
        pytest.skip("Detectron2's ViT needs timm")
