import json
from pathlib import Path

import pytest
import torch

from pose_project.engine import PoseTrainer
from pose_project.engine.hooks.metrics import drop_rows
from pose_project.utils.errors import InputError, NonFiniteLossError

# What differs between two runs that do the same: time.
TIMINGS = ("time", "data_time")


def rows(folder: Path) -> list[dict]:
    lines = (folder / "metrics.json").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMINGS} for line in lines]


def test_a_run_leaves_what_is_promised(start, tmp_path):
    results = start("train.visualizations=2", "train.eval_period=4").train()
    folder = tmp_path / "run"
    names = {path.name for path in folder.iterdir()}
    assert {"model_final.pth", "model_final.json", "model_best.pth", "metrics.json"} <= names
    assert {"model_0000001.pth", "model_0000003.pth", "training_curves.png"} <= names
    assert len(list((folder / "visualizations").glob("*.png"))) == 2
    assert (folder / "inference" / "coco_instances_results.json").exists()
    assert (folder / "last_checkpoint").read_text() == "model_final.pth"
    assert [row["iteration"] for row in rows(folder)] == list(range(6))
    assert {"total_loss", "loss_keypoint", "lr"} <= set(rows(folder)[0])
    evaluated = [row["iteration"] for row in rows(folder) if "keypoints/AP" in row]
    assert evaluated == [3, 5]
    assert rows(folder)[5]["keypoints/AR"] == results["keypoints"]["AR"]
    record = json.loads((folder / "model_final.json").read_text())
    assert record["iteration"] == 5
    assert record["config"]["train"]["seed"] == 0
    assert len(record["sha256"]) == 64


@pytest.mark.parametrize("interrupted_after", [2, 4])
def test_resume_is_exact(start, tmp_path, interrupted_after):
    """Losses and weights are those of the run that was not interrupted, bit for bit."""
    start(folder="whole").train()
    trainer = start(folder="broken")
    run_step = trainer.run_step

    def fail_later() -> None:
        if trainer.iter == interrupted_after + 1:
            raise KeyboardInterrupt
        run_step()

    trainer.run_step = fail_later
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    again = start(folder="broken", resume=True)
    assert again.start_iter == interrupted_after // 2 * 2
    again.train()
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
    weights = [
        torch.load(tmp_path / folder / "model_final.pth")["model"] for folder in ("whole", "broken")
    ]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_a_finished_run_is_evaluated_once_more(start, tmp_path):
    first = start().train()
    before = rows(tmp_path / "run")
    second = start(resume=True).train()
    assert second["keypoints"] == pytest.approx(first["keypoints"], nan_ok=True)
    assert rows(tmp_path / "run") == before


def test_best_metric_survives_a_resume(start):
    trainer = start("train.eval_period=2", "train.best_metric=bbox/AR100")
    trainer.train()
    (best,) = [h.best for h in trainer._hooks if hasattr(h, "best")]
    (again,) = [h.best for h in start(resume=True)._hooks if hasattr(h, "best")]
    assert again == best
    assert best["value"] >= 0


def test_best_checkpoint_is_not_what_resume_continues_from(start, tmp_path):
    trainer = start("train.eval_period=1", "train.checkpointer.period=0")
    trainer.max_iter = 2
    trainer.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_final.pth"


def test_old_checkpoints_go(start, tmp_path):
    start("train.checkpointer.period=1", "train.checkpointer.max_to_keep=2").train()
    numbered = sorted(path.name for path in (tmp_path / "run").glob("model_0*"))
    assert numbered == [f"model_000000{n}.{s}" for n in (3, 4) for s in ("json", "pth")]


def test_epochs_become_iterations(start):
    trainer = start("train.max_iter=null", "train.epochs=2", "train.checkpoint_epochs=1")
    assert trainer.data_loader.num_photos <= 12
    assert trainer.max_iter == 2 * trainer.data_loader.iterations_per_epoch
    (saving,) = [h for h in trainer._hooks if type(h).__name__ == "Checkpoints"]
    assert saving.period == trainer.data_loader.iterations_per_epoch


def test_loss_that_is_not_finite_stops_and_names_the_photos(start, tmp_path):
    trainer = start()
    run_step = trainer.run_step

    def poison() -> None:
        if trainer.iter == 3:
            with torch.no_grad():
                trainer.model.roi_heads.keypoint_head.score_lowres.bias.fill_(torch.nan)
        run_step()

    trainer.run_step = poison
    with pytest.raises(NonFiniteLossError, match=r"iteration 3.*loss_keypoint.*\.jpg"):
        trainer.train()
    last = tmp_path / "run" / (tmp_path / "run" / "last_checkpoint").read_text()
    weights = torch.load(last)["model"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_failing_evaluation_does_not_lose_the_training(start, tmp_path):
    trainer = start("train.checkpointer.period=0", "train.eval_period=3")
    trainer.test = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_0000002.pth"


def test_float16_needs_a_gpu(start):
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        start("train.amp.dtype=fp16")


def test_gradients_are_clipped(start):
    trainer = start("train.clip_grad_norm=0.001", "train.amp.enabled=False", "train.max_iter=1")
    trainer.train()
    norms = [p.grad.norm() for p in trainer.model.parameters() if p.grad is not None]
    assert torch.stack(norms).norm() <= 0.0011


def test_head_and_data_with_other_numbers_of_keypoints(tiny_config):
    cfg = tiny_config("model.roi_heads.keypoint_head.num_keypoints=5")
    with pytest.raises(InputError, match=r"predicts 5 keypoints.*has 17.*17 OKS sigmas"):
        PoseTrainer(cfg)
    assert not Path(cfg.train.output_dir).exists()


def test_rows_of_a_later_iteration_and_a_torn_row_are_dropped(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"iteration": 1, "a": 2}\n{"iteration": 2}\n{"iteration": 3, "a"')
    drop_rows(path, first=2)
    assert path.read_text() == '{"iteration": 1, "a": 2}\n'
