"""A checkpoint without a training."""

import json
from pathlib import Path

import torch

from helpers.runs import CONFIG, EVERYTHING
from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.structures import COCO_PERSON


def save_random_weights(folder: Path) -> Path:
    """Write random weights of the compact model, with a JSON beside them; return their file."""
    torch.manual_seed(0)
    model = PoseTrainer.build_model(load_config(CONFIG, EVERYTHING))
    # BatchNorm without statistics lets values grow, and softmax is steep there
    model.roi_heads.keypoint_head.score_lowres.weight.data *= 1e-2
    categories = [COCO_PERSON.to_coco_category(1, "person")]
    PoseCheckpointer(model, str(folder)).save("model", provenance={"categories": categories})
    assert json.loads((folder / "model.json").read_text())["categories"] == categories
    return folder / "model.pth"
