"""Each config trains and is evaluated on a device, and nothing is left on the CPU."""

import math

import numpy as np
import pytest
from helpers.narrow import TEST, TRAIN
from helpers.repository import ROOT
from helpers.vit import skip_without_vit

from pose_project.data import get_dataset_dicts
from pose_project.extras.selective_search.proposal_files import write_proposal_file

# Another schedule or dataset for the model of another config.
_SAME_MODEL = {
    "keypoint_rcnn_R50_FPN_3x.py",
    "keypoint_rcnn_R50_FPN_42ep.py",
    "keypoint_rcnn_R50_FPN_46ep.py",
    "custom_dataset.py",
    "custom_dataset_R50_FPN.py",
    "quick/coco_tiny.py",
}
_QUICK = {
    "keypoint_rcnn_R50_FPN_1x.py",
    "keypoint_rcnn_R50_FPN_refined_3x.py",
    "quick/fast_synthetic.py",
    "quick/faster_synthetic.py",
    "quick/mask_synthetic.py",
    "quick/synthetic.py",
    "torchvision_keypoint_rcnn_R50_FPN.py",
}
"""One of each kind; the others take a minute more."""
CONFIGS = sorted(
    {
        str(path.relative_to(ROOT / "configs"))
        for folder in ("configs", "configs/quick")
        for path in (ROOT / folder).glob("*.py")
    }
    - _SAME_MODEL
)


@pytest.fixture(scope="module")
def proposal_files(synthetic_cache, tmp_path_factory) -> list[str]:
    """Proposals near the people of both datasets."""
    folder = tmp_path_factory.mktemp("proposals")
    rng, overrides = np.random.default_rng(0), []
    for loader, name in (("train", TRAIN), ("test", TEST)):
        photos = get_dataset_dicts(name, filter_empty=False)
        boxes = []
        for photo in photos:
            truth = np.array([each["bbox"] for each in photo["annotations"]]).reshape(-1, 4)
            truth[:, 2:] += truth[:, :2]
            boxes.append(np.repeat(truth, 20, axis=0) + rng.normal(0, 3, (20 * len(truth), 4)))
        file = folder / f"{name}.pkl"
        write_proposal_file(file, [photo["image_id"] for photo in photos], boxes)
        overrides.append(f"dataloader.{loader}.dataset.proposal_files={file}")
    return overrides


@pytest.mark.parametrize(
    "name",
    [
        name if name in _QUICK else pytest.param(name, marks=pytest.mark.integration)
        for name in CONFIGS
    ],
)
def test_trains_and_is_evaluated(narrow, losses, fake_gpu, name, proposal_files, tmp_path):
    skip_without_vit(name)
    files = proposal_files if name.rpartition("/")[2].startswith("fast_") else []
    trainer = narrow(f"train.device={fake_gpu}", *files, config=name)
    results = trainer.train()
    assert {"bbox"} <= results.keys()
    found = losses(tmp_path / "run")
    assert len(found) == 2 and all(math.isfinite(each["total_loss"]) for each in found)
    assert {each.device.type for each in trainer.model.state_dict().values()} == {fake_gpu}
