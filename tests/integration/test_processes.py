"""Several processes (gloo, CPU) against one: the same data, losses, gradients and tables."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.repository import ROOT
from helpers.runs import TINY_RUN

pytestmark = pytest.mark.integration

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
SETTINGS = [*TINY_RUN, "train.max_iter=4"]  # five photos to evaluate: not divisible by two

# What one process does with the whole batch and several do with a part each: the gradients of the
# whole model, FrozenBN, all of a fixed number of proposals a photo sampled.
MODEL_SCRIPT = """
import sys, torch, torch.distributed as dist
from detectron2.structures import Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage
from pose_project.data.loader import seed_everything
from pose_project.engine import load_config
from pose_project.config.building import build
from pose_project.engine.launch import distribute
torch.set_num_threads(1)
many = len(sys.argv) > 3
if many:
    dist.init_process_group("gloo")
rank, world = (dist.get_rank(), dist.get_world_size()) if many else (0, 1)
cfg = load_config(sys.argv[1], [
    "model.proposal_generator=null",
    "model.roi_heads.batch_size_per_image=100",
    "model.roi_heads.positive_fraction=0.5",
    "model.backbone.norm=FrozenBN",
    "model.backbone.bottom_up.stem.norm=FrozenBN",
    "model.backbone.bottom_up.stages.norm=FrozenBN",
])
seed_everything(0)
model = build(cfg, "model")
model.roi_heads.proposal_append_gt = False
photos = []
for people in (3, 1, 0, 2, 0, 0, 1, 4):  # a process whose photos show nobody, among others
    corner = torch.rand(people, 2) * 40
    boxes = torch.cat([corner, corner + 20 + torch.rand(people, 2) * 30], dim=1)
    points = torch.rand(people, 17, 3) * boxes[:, None, 2:3]
    points[..., 2] = torch.randint(0, 3, (people, 17))
    instances = Instances((96, 96), gt_boxes=Boxes(boxes), gt_keypoints=Keypoints(points),
                          gt_classes=torch.zeros(people, dtype=torch.int64))
    near = boxes.repeat(20, 1)[:20] if people else torch.rand(20, 4) * 30
    near[:, 2:] = torch.maximum(near[:, 2:], near[:, :2] + 8)
    proposals = Instances((96, 96), proposal_boxes=Boxes(near + torch.randn(20, 4)),
                          objectness_logits=torch.zeros(20))
    photos.append({"image": torch.randint(0, 255, (3, 96, 96), dtype=torch.uint8),
                   "instances": instances, "proposals": proposals})
mine = len(photos) // world
batch = photos[rank * mine : (rank + 1) * mine]
distributed = distribute(model, "cpu", {})
with EventStorage():
    sum(distributed(batch).values()).backward()
if rank == 0:
    torch.save({name: p.grad for name, p in model.named_parameters()}, sys.argv[2])
if many:
    dist.barrier()  # gloo aborts a process whose peer is gone before it is done
    dist.destroy_process_group()
"""


# Predictions that are the annotations, moved a little; the metrics of several sizes of data.
EVALUATION_SCRIPT = """
import json, sys, torch, torch.distributed as dist
from detectron2.data import build_detection_test_loader
from detectron2.structures import Boxes, BoxMode, Instances
from pose_project.data import get_dataset_dicts
from pose_project.evaluation import PoseEvaluator
if len(sys.argv) > 2:
    dist.init_process_group("gloo")
metrics = {}
for photos in (1, 2, 5, 7):
    name = f"synthetic_demo_val_{photos}"
    evaluator = PoseEvaluator(name)
    evaluator.reset()
    dicts = get_dataset_dicts(name, filter_empty=False)
    for batch in build_detection_test_loader(dicts, mapper=lambda photo: photo, num_workers=0):
        outputs = []
        for photo in batch:
            torch.manual_seed(photo["image_id"])
            people = photo["annotations"]
            points = torch.tensor([each["keypoints"] for each in people]).reshape(-1, 17, 3)
            points = points + 4 * torch.randn_like(points)
            boxes = torch.tensor([BoxMode.convert(each["bbox"], BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)
                                  for each in people]).reshape(-1, 4)
            outputs.append({"instances": Instances(
                (photo["height"], photo["width"]), pred_boxes=Boxes(boxes + torch.rand(1)),
                scores=torch.rand(len(people)), pred_keypoints=points,
                pred_classes=torch.zeros(len(people), dtype=torch.int64))})
        evaluator.process(batch, outputs)
    metrics[photos] = evaluator.evaluate()
if metrics[1]:
    with open(sys.argv[1], "w") as file:
        json.dump(metrics, file)
if dist.is_initialized():
    dist.barrier()  # gloo aborts a process whose peer is gone before it is done
    dist.destroy_process_group()
"""


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def table(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("| Average")]


@pytest.fixture(scope="module")
def gradients_of_one(tmp_path_factory) -> tuple[list[str], dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("gradients")
    (folder / "model.py").write_text(MODEL_SCRIPT)
    script = [str(folder / "model.py"), str(ROOT / "configs/quick/synthetic.py")]
    run([sys.executable, *script, str(folder / "one.pth")])
    return script, torch.load(folder / "one.pth")


@pytest.mark.parametrize("processes", [2, 4])
def test_gradients_are_those_of_the_whole_batch(gradients_of_one, tmp_path, processes):
    """However people are spread: of four processes one has photos that show nobody."""
    script, expected = gradients_of_one
    run([*TORCHRUN, str(processes), *script, str(tmp_path / "many.pth"), "many"])
    actual = torch.load(tmp_path / "many.pth")
    reached = [name for name, gradient in expected.items() if gradient.any()]
    assert len(reached) > 30  # no box falls to the upper levels of the pyramid
    for name, gradient in expected.items():
        difference = (actual[name] - gradient).norm()
        # a softmax does not feel its bias: that gradient is zero but for rounding
        assert difference <= 1e-5 * gradient.norm() + 1e-7, name


def test_evaluation_with_any_remainder(tmp_path):
    """Four processes score 1, 2, 5 and 7 photos as one does; some have none."""
    script = tmp_path / "evaluation.py"
    script.write_text(EVALUATION_SCRIPT)
    run([sys.executable, str(script), str(tmp_path / "one.json")])
    run([*TORCHRUN, "4", str(script), str(tmp_path / "four.json"), "many"])
    one = (tmp_path / "one.json").read_text()
    assert (tmp_path / "four.json").read_text() == one
    assert '"AP"' in one


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
