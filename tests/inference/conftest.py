import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import CONFIG, EVERYTHING

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.structures import COCO_PERSON


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the compact model, with a JSON beside them as training writes it."""
    torch.manual_seed(0)
    model = PoseTrainer.build_model(load_config(CONFIG, EVERYTHING))
    # BatchNorm without statistics lets values grow, and softmax is steep there
    model.roi_heads.keypoint_head.score_lowres.weight.data *= 1e-2
    folder = tmp_path_factory.mktemp("weights")
    categories = [COCO_PERSON.to_coco_category(1, "person")]
    PoseCheckpointer(model, str(folder)).save("model", provenance={"categories": categories})
    assert json.loads((folder / "model.json").read_text())["categories"] == categories
    return folder / "model.pth"


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Three photos, two of which have the same size."""
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (200, 90), (120, 160)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
