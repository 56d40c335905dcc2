"""Two processes (gloo, CPU) against one: the same data, losses, gradients and tables."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY_RUN

pytestmark = pytest.mark.integration

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
SETTINGS = [*TINY_RUN, "train.max_iter=4"]  # five photos to evaluate: not divisible by two

# What one process does with the whole batch and two do with a half each, printed as numbers.
HEAD_SCRIPT = """
import sys, torch, torch.distributed as dist
from detectron2.layers import ShapeSpec
from detectron2.structures import Boxes, Instances, Keypoints
from pose_project.engine.launch import distribute
from pose_project.modeling import SpatialSoftmaxKeypointHead
many = len(sys.argv) > 2
if many:
    dist.init_process_group("gloo")
rank = dist.get_rank() if many else 0
torch.manual_seed(0)
head = SpatialSoftmaxKeypointHead(ShapeSpec(channels=4, height=14, width=14),
                                  num_keypoints=17, conv_dims=[8])
features = torch.randn(6, 4, 14, 14)
photos = []
for people in (5, 1, 0, 0):  # the second half has one person and a photo without anybody
    photo = Instances((60, 60), proposal_boxes=Boxes(torch.tensor([[0.0, 0, 50, 50]] * people)
                                                     .reshape(-1, 4)))
    points = torch.rand(people, 17, 3) * 50
    points[..., 2] = torch.randint(0, 3, (people, 17))
    photo.gt_keypoints = Keypoints(points)
    photos.append(photo)
if many:
    features = features[:5] if rank == 0 else features[5:]
    photos = [photos[0], photos[2]] if rank == 0 else [photos[1], photos[3]]
model = distribute(head, "cpu", {})
model(features, photos)["loss_keypoint"].backward()
if rank == 0:
    torch.save([p.grad for p in head.parameters()], sys.argv[1])
"""


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def table(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("| Average")]


def test_the_visible_normaliser_is_global(tmp_path):
    """However people are spread over processes, the gradient is that of the whole batch."""
    script = tmp_path / "head.py"
    script.write_text(HEAD_SCRIPT)
    run([sys.executable, str(script), str(tmp_path / "one.pth")])
    run([*TORCHRUN, "2", str(script), str(tmp_path / "two.pth"), "many"])
    gradients = [torch.load(tmp_path / f"{name}.pth") for name in ("one", "two")]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-7)


def test_training_and_evaluation_by_two_processes(tmp_path):
    """The tables printed in parallel are those of the saved checkpoint, scored by one process."""
    tool = str(ROOT / "tools/train_net.py")
    config = ["--config-file", str(ROOT / "configs/quick/synthetic.py"), *SETTINGS]
    folder: Path = tmp_path / "run"
    trained = run([*TORCHRUN, "2", tool, *config, f"train.output_dir={folder}"])
    weights = f"train.init_checkpoint={folder}/model_final.pth"
    elsewhere = f"train.output_dir={tmp_path}/evaluation"
    evaluated = run([sys.executable, tool, "--eval-only", *config, weights, elsewhere])
    assert table(evaluated) == table(trained)
    assert len(table(trained)) == 22
    assert (folder / "metrics.json").exists()
