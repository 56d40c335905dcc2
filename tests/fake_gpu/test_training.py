"""Training on a device: every switch, to the bit as on the CPU, and from one to the other."""

import math

import pytest
import torch
from helpers.device_counts import counting

# On a CPU channels_last pools another way, and autocast has other lists of operations.
EXACT = (
    "train.amp.enabled=False",
    "train.channels_last=False",
    "train.inference.channels_last=False",
)


@pytest.mark.parametrize(
    "overrides",
    [
        ("train.amp.dtype=bf16", "train.visualizations=1"),
        ("train.amp.dtype=fp16", "train.accumulate=2"),
        ("train.amp.enabled=False", "train.clip_grad_norm=0", "optimizer.foreach=True"),
        pytest.param(
            ("train.ema_decay=0.5", "train.eval_period=1", "train.validation_loss=True"),
            marks=pytest.mark.integration,
        ),
        ("optimizer.fused=True", "train.log_period=2", "dataloader.train.num_workers=1"),
        pytest.param(
            ("optimizer.fused=True", "train.amp.dtype=fp16", "train.channels_last=False"),
            marks=pytest.mark.integration,
        ),
    ],
    ids=" ".join,
)
def test_every_switch(narrow, losses, fake_gpu, tmp_path, overrides):
    trainer = narrow(*overrides, f"train.device={fake_gpu}")
    results = trainer.train()
    assert {"bbox", "keypoints"} <= results.keys()
    assert all(math.isfinite(each["total_loss"]) for each in losses(tmp_path / "run"))
    state = trainer.optimizer.state_dict()["state"]
    moments = {each["exp_avg"].device.type for each in state.values()}
    assert moments in ({fake_gpu}, set())  # empty: float16 is still looking for its scale


@pytest.mark.integration
def test_a_run_is_the_cpus_to_the_bit_wherever_it_goes_on(narrow, losses, fake_gpu, tmp_path):
    """Losses, weights and predictions: all on one device, or resumed on the other one and back."""
    narrow(*EXACT, "train.max_iter=3", folder="cpu").train()
    narrow(*EXACT, "train.max_iter=3", f"train.device={fake_gpu}", folder="gpu").train()
    for done, device in ((1, "cpu"), (2, fake_gpu), (3, "cpu")):
        overrides = ("train.max_iter=3", f"train.device={device}")
        trainer = narrow(*EXACT, *overrides, folder="moved", resume=True)
        assert trainer.start_iter == done - 1
        trainer.max_iter = done  # of a schedule for three
        trainer.train()
    expected = tmp_path / "cpu"
    for found in (tmp_path / "gpu", tmp_path / "moved"):
        assert losses(found) == losses(expected)
        predicted = "inference/coco_instances_results.json"
        assert (found / predicted).read_bytes() == (expected / predicted).read_bytes()
        weights = [
            torch.load(each / "model_final.pth", map_location="cpu")["model"]
            for each in (found, expected)
        ]
        for name, tensor in weights[0].items():
            assert torch.equal(tensor, weights[1][name]), name


def test_photos_come_from_pinned_memory(narrow, fake_gpu):
    trainer = narrow(f"train.device={fake_gpu}")
    batch = next(iter(trainer.data_loader))
    assert all(each["image"].is_pinned() for each in batch)
    with counting() as counts:
        batch[0]["image"].to(fake_gpu, non_blocking=True)
    assert not counts.uploads
