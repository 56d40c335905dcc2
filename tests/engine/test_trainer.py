import json
from pathlib import Path

import pytest
import torch
from detectron2.structures import Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage

from pose_project.engine import PoseTrainer
from pose_project.engine.hooks.metrics import drop_rows
from pose_project.engine.train_step import TrainStep
from pose_project.utils.errors import InputError, NonFiniteLossError, OutOfMemoryError

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
    assert any(name.startswith("events.out.tfevents") for name in names)
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


def test_resume_is_exact(start, tmp_path):
    """Losses and weights are those of the run that was not interrupted, bit for bit."""
    start(folder="whole").train()
    for interrupted_after, resume in ((2, False), (4, True)):  # the second time, a resumed run
        trainer = start(folder="broken", resume=resume)
        assert trainer.start_iter == (2 if resume else 0)
        trainer.run_step = _interrupted(trainer, interrupted_after)
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
    again = start(folder="broken", resume=True)
    assert again.start_iter == 4
    again.train()
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
    weights = [
        torch.load(tmp_path / folder / "model_final.pth")["model"] for folder in ("whole", "broken")
    ]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def _interrupted(trainer, after):
    run_step = trainer.run_step

    def step() -> None:
        if trainer.iter == after + 1:
            raise KeyboardInterrupt
        run_step()

    return step


@pytest.mark.integration
def test_a_finished_run_is_evaluated_once_more(start, tmp_path):
    first = start().train()
    before = rows(tmp_path / "run")
    second = start(resume=True).train()
    assert second["keypoints"] == pytest.approx(first["keypoints"], nan_ok=True)
    assert rows(tmp_path / "run") == before


@pytest.mark.integration
def test_a_run_cannot_be_resumed_to_fewer_iterations_than_it_has(start, tmp_path):
    start("train.max_iter=4").train()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(InputError, match="has done 4 iterations, more than train.max_iter=3"):
        start("train.max_iter=3", resume=True)
    settings = ("train.max_iter=null", "train.epochs=0.5")
    with pytest.raises(InputError, match="has done 4 iterations, more than train.epochs=0.5 "):
        start(*settings, resume=True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


@pytest.mark.integration
def test_best_metric_survives_a_resume(start):
    trainer = start("train.eval_period=2", "train.best_metric=bbox/AR100")
    trainer.train()
    (best,) = [h.best for h in trainer._hooks if hasattr(h, "best")]
    (again,) = [h.best for h in start(resume=True)._hooks if hasattr(h, "best")]
    assert again == best
    assert best["value"] >= 0


@pytest.mark.integration
def test_best_checkpoint_is_not_what_resume_continues_from(start, tmp_path):
    trainer = start("train.eval_period=1", "train.checkpointer.period=0")
    trainer.max_iter = 2
    trainer.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_final.pth"


@pytest.mark.integration
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


def poison(trainer, iteration: int, where="roi_heads.keypoint_head.score_lowres") -> None:
    """Make a bias NaN at one iteration, and heal it after."""
    run_step = trainer.run_step
    bias = trainer.checkpointer.model.get_submodule(where).bias

    def poisoned() -> None:
        before = bias.detach().clone()
        with torch.no_grad():
            if trainer.iter == iteration:
                bias.fill_(torch.nan)
        run_step()
        with torch.no_grad():
            if trainer.iter == iteration:
                bias.copy_(before)

    trainer.run_step = poisoned


@pytest.mark.parametrize(
    "where",
    [
        "backbone.bottom_up.stem.conv1.norm",
        "proposal_generator.rpn_head.objectness_logits",
        "roi_heads.box_predictor.cls_score",
        "roi_heads.keypoint_head.score_lowres",
    ],
)
def test_loss_that_is_not_finite_stops_and_names_the_photos(start, tmp_path, where):
    trainer = start()
    poison(trainer, iteration=3, where=where)
    with pytest.raises(NonFiniteLossError, match=r"iteration 3.*loss.*\.jpg"):
        trainer.train()
    last = tmp_path / "run" / (tmp_path / "run" / "last_checkpoint").read_text()
    weights = torch.load(last)["model"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.integration
def test_the_dump_of_a_loss_that_is_not_finite_shows_it_again(start, tiny_config, tmp_path):
    trainer = start()
    poison(trainer, iteration=3)
    with pytest.raises(NonFiniteLossError, match="See it again: python .*not_finite"):
        trainer.train()
    again = PoseTrainer(tiny_config(f"train.output_dir={tmp_path}/run/not_finite"))
    again.resume_or_load(resume=True)
    assert again.start_iter == 3
    with pytest.raises(NonFiniteLossError, match="at iteration 3"):
        again.train()


@pytest.mark.integration
def test_updates_that_are_not_finite_are_left_out_up_to_a_limit(start, tmp_path):
    trainer = start("train.max_skipped_steps=1")
    poison(trainer, iteration=3)
    trainer.train()
    assert rows(tmp_path / "run")[3]["skipped_steps"] == 1
    assert rows(tmp_path / "run")[3]["loss_keypoint"] is None  # JSON has no NaN
    weights = torch.load(tmp_path / "run" / "model_final.pth")["model"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.integration
def test_a_gradient_that_is_not_finite_is_left_out_too(start):
    trainer = start("train.max_iter=1", "train.max_skipped_steps=1", "train.amp.enabled=False")
    weight = trainer.model.backbone.fpn_lateral2.weight
    weight.register_hook(lambda gradient: gradient * torch.inf)
    before = weight.detach().clone()
    trainer.train()
    assert trainer._trainer.skipped_steps == 1
    assert torch.equal(weight, before)


@pytest.mark.parametrize("pieces", [2, 3])
def test_a_batch_in_pieces_gives_the_gradients_of_the_whole(tiny_config, monkeypatch, pieces):
    """Also where pieces differ in photos and people; with samples that do not depend on chance."""
    monkeypatch.setattr(torch, "randperm", torch.arange)
    whole, expected = gradients(tiny_config(), pieces=1)
    parts, found = gradients(tiny_config(), pieces=pieces)
    assert parts == pytest.approx(whole, rel=1e-5)
    assert len([gradient for gradient in expected.values() if gradient.any()]) > 30
    for name, gradient in expected.items():
        difference = (found[name] - gradient).norm()
        # a softmax does not feel its bias: that gradient is zero but for rounding
        assert difference <= 1e-5 * gradient.norm() + 1e-6, name


def gradients(cfg, pieces: int) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loss and gradients of a step on four photos of one size, 1 to 4 people each."""
    torch.manual_seed(0)
    model = PoseTrainer.build_model(cfg)
    model.roi_heads.keypoint_head.loss_normalizer = 1.0  # "visible" counts in each piece by itself
    batch = [photo_of(people, size_hw=(64, 96)) for people in (1, 2, 3, 4)]
    step = TrainStep(
        *(model, [batch], torch.optim.SGD(model.parameters(), lr=0.0)),
        device="cpu",
        seed=0,
        accumulate=pieces,
    )
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # its statistics would be those of a piece
    with EventStorage() as storage:
        step.iter = 0
        step.run_step()
        loss = storage.latest()["total_loss"][0]
    named = {name: parameter.grad for name, parameter in model.named_parameters()}
    return loss, {name: gradient for name, gradient in named.items() if gradient is not None}


def photo_of(people: int, size_hw: tuple[int, int]) -> dict:
    """Return noise as a photo, and people in it."""
    generator = torch.manual_seed(people)
    corners = 40 * torch.rand(people, 2, generator=generator)
    points = torch.rand(people, 17, 2, generator=generator) * 20 + corners[:, None]
    return {
        "file_name": f"{people}.png",
        "image": torch.randint(0, 256, (3, *size_hw), dtype=torch.uint8, generator=generator),
        "instances": Instances(
            size_hw,
            gt_boxes=Boxes(torch.cat([corners, corners + 20], dim=1)),
            gt_classes=torch.zeros(people, dtype=torch.int64),
            gt_keypoints=Keypoints(torch.cat([points, torch.full((people, 17, 1), 2.0)], dim=2)),
        ),
    }


@pytest.mark.integration
def test_average_of_the_weights_is_saved_evaluated_and_resumed(start, tmp_path):
    trainer = start("train.ema_decay=0.5", "train.max_iter=4")
    results = trainer.train()
    assert {"bbox", "keypoints", "ema/bbox", "ema/keypoints"} == set(results)
    assert "ema/keypoints/AP" in rows(tmp_path / "run")[-1]
    (hook,) = [h for h in trainer._hooks if type(h).__name__ == "WeightAverage"]
    final = torch.load(tmp_path / "run" / "model_ema.pth")["model"]
    name = "roi_heads.keypoint_head.conv_fcn1.weight"
    assert torch.equal(final[name], hook.average.module.state_dict()[name])
    assert not torch.equal(final[name], trainer.model.state_dict()[name])
    again = start("train.ema_decay=0.5", "train.max_iter=4", resume=True)
    (resumed,) = [h for h in again._hooks if type(h).__name__ == "WeightAverage"]
    assert torch.equal(final[name], resumed.average.module.state_dict()[name])


@pytest.mark.integration
def test_validation_loss_is_recorded_and_changes_nothing(start, tmp_path):
    start("train.validation_loss=True", folder="with").train()
    start(folder="without").train()
    last = rows(tmp_path / "with")[-1]
    assert last["validation/loss_keypoint"] > 0
    assert last["validation/total_loss"] == pytest.approx(
        sum(v for k, v in last.items() if k.startswith("validation/loss_"))
    )
    plain = [
        {k: v for k, v in row.items() if "validation" not in k} for row in rows(tmp_path / "with")
    ]
    assert plain == rows(tmp_path / "without")


@pytest.mark.integration
def test_training_stops_when_the_best_metric_stops_improving(start, tmp_path):
    trainer = start("train.eval_period=1", "train.patience=2", "train.best_metric=bbox/AR1")
    results = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    trainer.test = lambda *_, **__: {"bbox": {"AP": 0.0, "AR1": next(results)}}
    trainer.train()
    assert [row["iteration"] for row in rows(tmp_path / "run")] == [0, 1, 2, 3]
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_final.pth"


@pytest.mark.integration
def test_channels_last_changes_nothing(start, tmp_path):
    for switch in (True, False):
        settings = ("train.amp.enabled=False", "train.max_iter=2")
        start(f"train.channels_last={switch}", *settings, folder=str(switch)).train()
    for fast, plain in zip(rows(tmp_path / "True"), rows(tmp_path / "False"), strict=True):
        assert fast["total_loss"] == pytest.approx(plain["total_loss"], rel=1e-3)


def test_learning_rate_follows_the_batch_size(start):
    trainer = start("train.reference_batch_size=8")
    assert trainer.optimizer.defaults["lr"] == pytest.approx(1.5e-3 * 2 / 8)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.log_period=0", "train.log_period must be a whole number from 1, got 0"),
        ("train.accumulate=0", "train.accumulate must be a whole number from 1"),
        ("train.ema_decay=1", "train.ema_decay must be a number from 0 to 1"),
        ("train.eval_period=-1", "train.eval_period"),
        ("train.max_iter=0", "train.max_iter must be a whole number from 1"),
        ("train.max_iter=abc", "train.max_iter must be a whole number"),
        ("train.max_iter=null", "Set train.epochs or train.max_iter"),
        ("train.seed=-1", "train.seed"),
        ("train.checkpointer.max_to_keep=0", "max_to_keep"),
        ("train.amp.enabled=maybe", "True or False"),
        ("train.amp.dtype=fp8", "bf16 or fp16"),
        ("train.device=foo", "train.device must be a device of PyTorch"),
        ("train.best_metric=keypoint/AP", "train.best_metric must be .* did you mean keypoints/AP"),
        ("optimizer.lr=abc", "optimizer cannot be built"),
        ("model.roi_heads.keypoint_head.up_scale=3", "model cannot be built.*28x28"),
        ("dataloader.evaluator.engine=fast", "unknown evaluation engine"),
        ("dataloader.evaluator.tasks=[keypoint]", "unknown evaluation task"),
        ("dataloader.test.dataset.names=[synthetic_demo_val_5]", "one dataset at a time"),
        ("model.roi_heads.num_classes=2", "the model has 2 classes.*has 1"),
    ],
)
def test_settings_out_of_range(start, override, message):
    with pytest.raises(InputError, match=message):
        start(override)


@pytest.mark.integration
def test_failing_evaluation_does_not_lose_the_training(start, tmp_path):
    trainer = start("train.checkpointer.period=0", "train.eval_period=3")
    trainer.test = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text() == "model_0000002.pth"


def test_float16_needs_a_gpu(start):
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        start("train.amp.dtype=fp16")


@pytest.mark.integration
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


@pytest.mark.integration
def test_settings_of_a_resumed_run_are_those_of_its_config(start, tmp_path):
    start("train.max_iter=4").train()
    again = start(
        "train.max_iter=8", "optimizer.lr=1.0", "lr_multiplier.warmup_iters=0", resume=True
    )
    fresh = start(
        "train.max_iter=8", "optimizer.lr=1.0", "lr_multiplier.warmup_iters=0", folder="b"
    )
    expected = [fresh.scheduler.base_lrs[0] * fresh.scheduler._multiplier(i / 8) for i in (4, 5)]
    assert again.optimizer.param_groups[0]["lr"] == pytest.approx(expected[0])
    again.train()
    assert rows(tmp_path / "run")[4]["lr"] == pytest.approx(expected[0])


@pytest.mark.integration
def test_a_run_whose_last_evaluation_failed_is_completed_by_resuming(start, tmp_path):
    trainer = start("train.checkpointer.period=0")
    trainer.test = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert not (tmp_path / "run" / "model_final.pth").exists()
    start("train.checkpointer.period=0", resume=True).train()
    assert (tmp_path / "run" / "model_final.pth").exists()


def test_out_of_memory_names_the_batch_and_what_to_try(start, tmp_path):
    """On a GPU it is test_gpu.py that lets the memory run out; here the error is torch's own."""
    trainer = start("train.max_iter=4")
    run_step = trainer.run_step

    def too_large(*_) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def fail_later() -> None:
        if trainer.iter == 3:
            trainer.model.backbone.register_forward_pre_hook(too_large)
        run_step()

    trainer.run_step = fail_later
    with pytest.raises(OutOfMemoryError, match=r"iteration 3 with 2 photos of \d+x\d+.*accumulate"):
        trainer.train()
    last = (tmp_path / "run" / "last_checkpoint").read_text()
    assert torch.load(tmp_path / "run" / last)["iteration"] == 1


@pytest.mark.integration
def test_photos_that_vanish_during_training_are_replaced(start, tmp_path, caplog):
    trainer = start()
    run_step = trainer.run_step
    photos = sorted({Path(photo["file_name"]) for photo in trainer.data_loader.dataset.dataset})
    kept = {photo: photo.read_bytes() for photo in photos[:4]}

    def vanish() -> None:
        if trainer.iter == 2:
            for photo in kept:
                photo.unlink(missing_ok=True)
        run_step()

    trainer.run_step = vanish
    try:
        trainer.train()
    finally:
        for photo, content in kept.items():
            photo.write_bytes(content)
    assert len(rows(tmp_path / "run")) == 6
    assert any("Replaced a photo" in message for message in caplog.messages)


@pytest.mark.integration
def test_metrics_in_memory_do_not_grow_with_the_run(start, monkeypatch):
    monkeypatch.setattr("pose_project.engine.trainer._HISTORY", 3)
    trainer = start()
    trainer.train()
    histories = trainer.storage.histories()
    assert len(histories["loss_keypoint"].values()) == 3
    assert (
        histories["loss_keypoint"].latest()
        == rows(Path(trainer.cfg.OUTPUT_DIR))[-1]["loss_keypoint"]
    )


FUSED = [
    "optimizer.fused=True",
    "train.log_period=3",
    "train.checkpointer.period=0",
    "train.amp.enabled=False",
]


@pytest.mark.integration
def test_a_fused_optimizer_reports_as_often_as_it_logs_and_learns_the_same(start, tmp_path):
    start("train.log_period=3", "train.amp.enabled=False").train()
    expected = rows(tmp_path / "run")
    trainer = start(*FUSED, folder="fused")
    looks = []
    flush = trainer._trainer.flush_losses
    trainer._trainer.flush_losses = lambda: (looks.append(trainer.iter), flush())[1]
    trainer.train()
    # iteration 0 has no optimizer state yet; 5 is the last, which a checkpoint reads once more
    assert sorted(set(looks)) == [0, 2, 5]
    for row, same in zip(rows(tmp_path / "fused"), expected, strict=True):
        assert row["total_loss"] == pytest.approx(same["total_loss"], rel=1e-3)


@pytest.mark.integration
@pytest.mark.parametrize("poisoned", [0, 3, 4])
def test_a_fused_optimizer_makes_no_update_after_one_that_is_not_finite(
    start, tiny_config, tmp_path, poisoned
):
    trainer = start(*FUSED)
    poison(trainer, iteration=poisoned)
    before, rates = {}, []
    run_step = trainer.run_step

    def remembering() -> None:
        if trainer.iter == poisoned:
            before.update({k: v.clone() for k, v in trainer.model.named_parameters()})
            rates.append(trainer.optimizer.param_groups[0]["lr"])
        run_step()

    trainer.run_step = remembering
    with pytest.raises(NonFiniteLossError, match=f"at iteration {poisoned}.*See it again"):
        trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]) or parameter.isnan().any()
    again = PoseTrainer(tiny_config(f"train.output_dir={tmp_path}/run/not_finite"))
    again.resume_or_load(resume=True)
    assert again.start_iter == poisoned
    assert [again.optimizer.param_groups[0]["lr"]] == rates


@pytest.mark.integration
def test_a_fused_optimizer_leaves_out_one_update(start, tmp_path):
    trainer = start(*FUSED, "train.max_skipped_steps=1")
    poison(trainer, iteration=3)
    trainer.train()
    assert trainer._trainer.skipped_steps == 1
    weights = torch.load(tmp_path / "run" / "model_final.pth")["model"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_no_checkpoint_of_a_run_that_has_failed(start, tmp_path):
    """The update of iteration 3 was left out, which nobody has seen when 4 is to be saved."""
    trainer = start(*FUSED, "train.log_period=20", "train.checkpointer.period=5")
    poison(trainer, iteration=3)
    with pytest.raises(NonFiniteLossError, match="at iteration 3"):
        trainer.train()
    assert not (tmp_path / "run" / "last_checkpoint").exists()
