"""Configs that were saved before keys and modules moved: they load, and everything in them runs.

``saved_before/config.yaml`` is ``configs/quick/synthetic_augmented.py`` as a run of commit 4e69f02
saved it; ``calls.json`` has every call into this project of all configs saved by it, with the
arguments that they set.
"""

import inspect
import json
import logging
from pathlib import Path

import pytest
import yaml
from detectron2.config import instantiate
from detectron2.utils.registry import locate
from helpers.repository import ROOT
from helpers.vit import skip_without_vit
from omegaconf import OmegaConf

from pose_project.config import renamed_keys
from pose_project.config.loading import load_config
from pose_project.engine import PoseTrainer
from pose_project.utils.errors import InputError

FOLDER = Path(__file__).parent / "saved_before"
SAVED = FOLDER / "config.yaml"
CALLS = json.loads((FOLDER / "calls.json").read_text())
SMALL = [
    "dataloader.train.dataset.names=synthetic_demo_train_12",
    "dataloader.test.dataset.names=synthetic_demo_val_5",
    "dataloader.train.total_batch_size=2",
    "dataloader.train.mapper.augmentations.1.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "train.visualizations=0",
    "train.device=cpu",
    "train.max_iter=2",
]


@pytest.fixture(autouse=True)
def told_again():
    renamed_keys._tell.cache_clear()


@pytest.mark.parametrize("target", CALLS)
def test_a_call_takes_the_arguments_it_was_saved_with(target):
    skip_without_vit(target)
    called = locate(renamed_keys.move_targets({"_target_": target})["_target_"])
    inspect.signature(called).bind_partial(**dict.fromkeys(CALLS[target]))


@pytest.mark.parametrize(
    "target",
    [
        "pose_project.modeling.LikelihoodKeypointHead",
        "pose_project.modeling.likelihood_head.LikelihoodKeypointHead",
        "pose_project.modeling.GlobalContextKeypointHead",
        "pose_project.modeling.global_context_head.GlobalContextKeypointHead",
    ],
)
def test_what_is_an_extra_now_is_found(target):
    found = locate(renamed_keys.move_targets({"_target_": target})["_target_"])
    assert found.__name__ == target.rpartition(".")[2]
    assert found.__module__.startswith("pose_project.extras.")


def test_a_class_that_moved_is_found(tmp_path):
    content = yaml.safe_load(SAVED.read_text())
    content["model"]["roi_heads"]["box_head"] = {
        "_target_": "pose_project.modeling.svd.LowRankBoxHead",
        "input_shape": {
            "_target_": "detectron2.layers.ShapeSpec",
            **{"channels": 8, "height": 7, "width": 7},
        },
        **{"conv_dims": [], "fc_dims": [16], "ranks": [4]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    cfg = load_config(str(tmp_path / "config.yaml"))
    assert instantiate(cfg.model.roi_heads.box_head).fc1.sigma_vt.out_features == 4


def test_settings_are_those_of_the_config_today():
    today = load_config(str(ROOT / "configs/quick/synthetic_augmented.py")).train
    assert OmegaConf.to_container(load_config(str(SAVED)).train) == OmegaConf.to_container(today)


@pytest.mark.integration
def test_a_saved_run_trains_and_is_evaluated(tmp_path):
    old_key = "train.inference.answers.flip=True"
    cfg = load_config(str(SAVED), [*SMALL, f"train.output_dir={tmp_path}", old_key])
    assert cfg.train.inference.test_time.flip is True
    trainer = PoseTrainer(cfg)
    trainer.resume_or_load(resume=False)
    assert set(trainer.train()) == {"bbox", "keypoints"}


def test_a_renamed_key_is_named_once(tmp_path, caplog):
    caplog.set_level(logging.INFO, "pose_project")
    content = yaml.safe_load(SAVED.read_text())
    content["train"]["inference"]["answers"]["scales"] = [0.7]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    overrides = ["train.inference.answers={flip: True}", "train.inference.answers.rescore=True"]
    options = load_config(str(tmp_path / "config.yaml"), overrides).train.inference.test_time
    assert (options.flip, options.rescore, options.scales) == (True, True, [0.7])
    assert caplog.messages == ["train.inference.answers is now called train.inference.test_time."]


def test_a_wrong_key_under_a_renamed_one_is_refused():
    with pytest.raises(InputError, match="did you mean train.inference.test_time.flip"):
        load_config(str(SAVED), ["train.inference.answers.flop=True"])


def test_keys_that_came_later_have_their_defaults(tmp_path):
    content = yaml.safe_load(SAVED.read_text())
    del content["train"]["stall_timeout"], content["train"]["inference"]["answers"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    train = load_config(str(tmp_path / "config.yaml"), ["train.stall_timeout=4"]).train
    assert train.stall_timeout == 4
    assert train.inference.test_time.oks_nms == 0
