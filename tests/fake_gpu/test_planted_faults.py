"""Faults that only show on a GPU, put in on purpose: each is found, so the other tests can fail."""

import pytest
import torch
from detectron2.structures import Instances
from helpers.device_counts import Counts, counting
from helpers.narrow import narrow_config
from torch import Tensor

from pose_project.engine import PoseTrainer
from pose_project.modeling import SpatialSoftmaxKeypointHead, decoding, keypoint_head
from pose_project.modeling.acceleration import inference_model
from pose_project.structures import COCO_PERSON

PHOTOS = [{"image": torch.full((3, 96, 128), 90, dtype=torch.uint8), "height": 96, "width": 128}]


@pytest.fixture
def model(fake_gpu: str) -> torch.nn.Module:
    torch.manual_seed(0)
    cfg = narrow_config("quick/synthetic.py", f"train.device={fake_gpu}")
    return PoseTrainer.build_model(cfg).eval()


def run(model: torch.nn.Module, **test_time: object) -> Counts:
    settings = {"fold_batchnorm": False, "test_time": test_time}
    fast = inference_model(model, settings, COCO_PERSON)
    with counting() as counts:
        fast([dict(each) for each in PHOTOS])
    return counts


def test_a_buffer_left_on_the_cpu(model):
    run(model)
    model.backbone.bottom_up.stem.conv1.norm.running_mean = torch.zeros(16)
    with pytest.raises(RuntimeError, match="same device.*batch_norm"):
        run(model)


def test_a_tensor_that_is_no_buffer(model):
    model.pixel_mean = model.pixel_mean.cpu()  # as an attribute that .to() does not move
    with pytest.raises(RuntimeError, match="same device"):
        run(model)


def test_a_mask_made_on_the_host(model, monkeypatch):
    decode = decoding.decode_heatmaps

    def with_a_mask(logits: Tensor, boxes: Tensor) -> Tensor:
        keypoints = decode(logits, boxes)
        is_far = torch.arange(len(boxes)) > 2
        return torch.where(is_far[:, None, None], keypoints, 0.0)

    monkeypatch.setattr(keypoint_head, "decode_heatmaps", with_a_mask)
    with pytest.raises(RuntimeError, match="same device"):
        run(model)


def test_numpy_of_what_is_on_the_device(model):
    found: Instances = model([dict(each) for each in PHOTOS])[0]["instances"]
    with pytest.raises(TypeError, match="Tensor.cpu"):
        found.scores.detach().numpy()


def test_a_wait_and_a_kernel_more_are_counted(model, monkeypatch):
    before = run(model)
    decode = decoding.decode_heatmaps

    def with_a_wait(logits: Tensor, boxes: Tensor) -> Tensor:
        assert logits.max() < 1e9
        return decode(logits, boxes)

    monkeypatch.setattr(keypoint_head, "decode_heatmaps", with_a_wait)
    after = run(model)
    assert after.syncs.total() == before.syncs.total() + 1
    assert after.kernels.total() == before.kernels.total() + 2
    (line,) = after.syncs - before.syncs
    assert line.startswith("tests/fake_gpu/test_planted_faults.py")


def test_a_loss_that_is_looked_at_is_counted(narrow, storage, fake_gpu, monkeypatch):
    trainer = narrow(f"train.device={fake_gpu}")
    batch = next(iter(trainer.data_loader))

    def syncs() -> int:
        torch.manual_seed(0)
        with counting() as counts:
            sum(trainer.model(batch).values()).backward()
        return counts.syncs.total()

    before = syncs()
    losses = SpatialSoftmaxKeypointHead.losses

    def looked_at(self: SpatialSoftmaxKeypointHead, *args: object) -> dict[str, Tensor]:
        found = losses(self, *args)
        assert found["loss_keypoint"].item() >= 0
        return found

    monkeypatch.setattr(SpatialSoftmaxKeypointHead, "losses", looked_at)
    assert syncs() == before + 1
