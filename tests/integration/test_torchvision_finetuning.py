"""From torchvision's weights through training and back to torchvision, by the command lines."""

import json
from statistics import mean

import pytest
import torch
from helpers.repository import ROOT, load_tool
from helpers.runs import TINY_RUN
from helpers.torchvision_models import as_published, build_frozen_model, random_weights

pytestmark = pytest.mark.integration

CONFIG = str(ROOT / "configs/torchvision_keypoint_rcnn_R50_FPN.py")
SMALL = [
    *TINY_RUN,
    "dataloader.train.dataset.names=synthetic_demo_train_4",
    "dataloader.test.dataset.names=synthetic_demo_val_2",
    "dataloader.train.num_workers=0",
    "dataloader.test.num_workers=0",
    "model.proposal_generator.post_nms_topk=[100,50]",
    "model.roi_heads.batch_size_per_image=32",
    "model.roi_heads.box_predictor.test_topk_per_image=5",
    "optimizer.lr=0.01",
    "lr_multiplier.warmup_iters=1",
    "train.clip_grad_norm=5",
    "train.max_iter=12",
    "train.log_period=1",
]


def run(tool: str, *arguments: object) -> None:
    assert load_tool(tool).main([str(each) for each in arguments]) == 0


def test_there_training_and_back(tmp_path):
    weights = random_weights(torch.rand(2, 3, 96, 128), bn_eps=0.0, num_keypoints=17)
    published, start = tmp_path / "published.pth", tmp_path / "start.pth"
    torch.save(as_published(weights), published)
    run("convert_weights", "--from", "torchvision", "--input", published, "--output", start)
    folder = tmp_path / "run"
    settings = [*SMALL, f"train.init_checkpoint={start}", f"train.output_dir={folder}"]
    run("train_net", "--config-file", CONFIG, *settings)

    rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    total, keypoint = (
        [row[name] for row in rows if name in row] for name in ("total_loss", "loss_keypoint")
    )
    assert len(total) == len(keypoint) == 12
    assert mean(total[-6:]) < 0.9 * mean(total[:3])
    assert mean(keypoint[-3:]) < mean(keypoint[:3]) - 0.05

    before = torch.load(start)["model"]
    after = torch.load(folder / "model_final.pth", weights_only=True)["model"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    frozen = {name for name in before if ".stem." in name or ".res2." in name or ".norm." in name}
    assert changed == before.keys() - frozen  # as torchvision: 3 of 5 layers of the backbone

    final, back = folder / "model_final.pth", tmp_path / "back.pth"
    eps = ("--bn-eps", 0)
    run("convert_weights", "--to", "torchvision", "--input", final, "--output", back, *eps)
    model = build_frozen_model(torch.load(back), bn_eps=0.0, box_detections_per_img=3)
    with torch.no_grad():
        (found,) = model([torch.rand(3, 240, 320)])
    assert torch.isfinite(found["keypoints"]).all()
