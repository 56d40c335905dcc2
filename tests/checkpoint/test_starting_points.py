"""Mask R-CNNs of Detectron2's new baselines as starting points: what is taken and what is new."""

import logging
import pickle
from pathlib import Path

import pytest
import torch
from detectron2.config import instantiate
from detectron2.model_zoo import get_config
from helpers.repository import ROOT

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import load_config

# cls_score, bbox_pred and the mask head's predictor: of 80 classes there, of one here
OTHER_SHAPES = 6


def write_mask_rcnn(path: Path, name: str) -> dict[str, torch.Tensor]:
    """Write random weights of a new baseline in the form of the published files."""
    torch.manual_seed(1)
    weights = instantiate(get_config(f"new_baselines/{name}.py").model).state_dict()
    weights = {key: value.numpy() for key, value in weights.items() if "pixel_" not in key}
    path.write_bytes(pickle.dumps({"model": weights, "__author__": "Detectron2 Model Zoo"}))
    return weights


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("R50", "R_50"),
        pytest.param("R101", "R_101", marks=pytest.mark.integration),
        pytest.param("regnety_4gf", "regnety_4gf_dds", marks=pytest.mark.integration),
    ],
)
def test_all_but_classes_and_keypoints_are_taken(ours, theirs, tmp_path, caplog):
    name = f"mask_rcnn_{theirs}_FPN_400ep_LSJ"
    config = ROOT / f"configs/keypoint_rcnn_{ours}_FPN_from_mask_rcnn_1x.py"
    cfg = load_config(str(config), ["train.device=cpu"])
    assert f"/{name}/" in cfg.train.init_checkpoint
    path = tmp_path / "model_final.pkl"
    weights = write_mask_rcnn(path, name)
    model = instantiate(cfg.model)
    caplog.set_level(logging.INFO)
    PoseCheckpointer(model).load(str(path), checkpointables=[])
    own = model.state_dict()
    head = [key for key in own if key.startswith("roi_heads.keypoint_head.")]
    # counters of normalisation start at zero, and are not told of
    new = sum(not key.endswith("num_batches_tracked") for key in head) + OTHER_SHAPES
    assert f"{len(own) - new} of {len(own)} tensors taken over; new: " in caplog.text
    assert f"and {new - 6} more" in caplog.text and "are not used" not in caplog.text
    for key in own.keys() - set(head):
        if own[key].shape == weights[key].shape:
            assert (own[key].numpy() == weights[key]).all(), key
