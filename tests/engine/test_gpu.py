"""The same runs on a CUDA device."""

import json
from pathlib import Path

import pytest
import torch

from pose_project.modeling import decode_heatmaps
from pose_project.utils.errors import OutOfMemoryError

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.json").read_text().splitlines()
    return [json.loads(line)["total_loss"] for line in lines]


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_training_in_low_precision(start, tmp_path, dtype):
    results = start("train.device=cuda", f"train.amp.dtype={dtype}").train()
    assert set(results) == {"bbox", "keypoints"}
    assert all(value is not None for value in losses(tmp_path / "run"))


def test_a_resumed_run_sees_the_same_data(start, tmp_path):
    settings = ("train.device=cuda", "train.amp.enabled=False")
    start(*settings, folder="whole").train()
    start(*settings, "train.max_iter=4", folder="broken").train()
    start(*settings, folder="broken", resume=True).train()
    # GPU kernels add in any order, so the losses are close and not equal
    assert losses(tmp_path / "broken") == pytest.approx(losses(tmp_path / "whole"), rel=0.05)


def test_decoding_agrees_with_the_cpu():
    torch.manual_seed(0)
    logits = torch.nn.functional.avg_pool2d(torch.randn(20, 17, 56, 56) * 30, 5, 1, 2)
    corner = torch.rand(20, 2) * 100
    boxes = torch.cat([corner, corner + 20 + torch.rand(20, 2) * 200], dim=1)
    expected = decode_heatmaps(logits, boxes)
    actual = decode_heatmaps(logits.cuda(), boxes.cuda()).cpu()
    moved = (actual - expected)[..., :2].abs().amax(dim=-1) > 1e-2
    assert moved.float().mean() < 0.002  # ties within float32 rounding


def test_out_of_memory_names_the_batch(start, tmp_path):
    trainer = start("train.device=cuda", "train.amp.enabled=False")
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved() + 2**20
    torch.cuda.set_per_process_memory_fraction(
        held / torch.cuda.get_device_properties(0).total_memory
    )
    try:
        with pytest.raises(OutOfMemoryError, match=r"2 photos of \d+x\d+"):
            trainer.train()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
