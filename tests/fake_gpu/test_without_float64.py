"""Apple's MPS has no float64: nothing asks for it. PyTorch's kernels there are not tried."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers.fake_gpu import without_float64
from helpers.narrow import narrow_config
from helpers.refined import HEADS, apply

from pose_project.engine import PoseTrainer
from pose_project.modeling import decode_heatmaps
from pose_project.modeling.acceleration import inference_model
from pose_project.structures import COCO_PERSON


@pytest.fixture(autouse=True)
def no_float64(fake_gpu: str) -> Iterator[None]:
    with without_float64():
        yield


def test_it_is_refused(fake_gpu):
    values = torch.ones(2, device=fake_gpu)
    for ask in (values.double, lambda: torch.zeros(2, dtype=torch.float64, device=fake_gpu)):
        with pytest.raises(TypeError, match="no float64"):
            ask()
    with pytest.raises(TypeError, match="no float64"):
        torch.from_numpy(np.ones(2)).to(fake_gpu)
    assert (2.5 * values).dtype == torch.float32


@pytest.mark.integration
@pytest.mark.parametrize(
    "overrides",
    [
        ("train.amp.enabled=False",),
        ("train.amp.dtype=bf16", "train.ema_decay=0.5", "train.validation_loss=True"),
    ],
    ids=" ".join,
)
def test_training(narrow, losses, fake_gpu, tmp_path, overrides):
    results = narrow(*overrides, f"train.device={fake_gpu}").train()
    assert {"bbox", "keypoints"} <= results.keys() and len(losses(tmp_path / "run")) == 2


@pytest.mark.parametrize(
    ("switches", "test_time"),
    [
        (None, {"flip": True, "scales": [0.5], "subpixel": True, "rescore": True, "oks_nms": 0.5}),
        *((name, {}) for name in (None, *HEADS)),
        *((name, {"flip": True, "temperature": 1.0, "oks_nms": 0.5}) for name in (None, *HEADS)),
    ],
    ids=str,
)
def test_inference(fake_gpu, photos, switches, test_time):
    cfg = narrow_config("quick/synthetic.py", f"train.device={fake_gpu}")
    torch.manual_seed(0)
    model = PoseTrainer.build_model(apply(cfg, switches) if switches else cfg).eval()
    fast = inference_model(model, {"test_time": test_time}, COCO_PERSON)
    images = [torch.from_numpy(each.transpose(2, 0, 1).copy()) for each in photos[:2]]
    found = fast([{"image": each, "height": 99, "width": 200} for each in images])
    assert sum(len(each["instances"]) for each in found) > 0


def test_decoding_of_many_sizes(fake_gpu):
    heatmaps = torch.randn(40, 17, 56, 56, generator=torch.manual_seed(0))
    corners = torch.rand(40, 2, generator=torch.manual_seed(1)) * 50
    boxes = torch.cat([corners, corners + torch.logspace(0.5, 2.8, 40)[:, None]], dim=1)
    expected = decode_heatmaps(heatmaps, boxes)
    found = decode_heatmaps(heatmaps.to(fake_gpu), boxes.to(fake_gpu))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-5)
