import sys
from pathlib import Path

import pytest
from detectron2.config import LazyCall, LazyConfig, instantiate
from helpers.annotations import person
from helpers.repository import ROOT
from helpers.vit import skip_without_vit
from omegaconf import OmegaConf

from pose_project.config.building import build
from pose_project.engine import load_config
from pose_project.modeling import SpatialSoftmaxKeypointHead
from pose_project.utils.errors import InputError

CONFIGS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("configs/*.py"), *ROOT.glob("configs/quick/*.py")]
)
SYNTHETIC = str(ROOT / "configs/quick/synthetic.py")


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_loads_overrides_saves_and_builds(config, tmp_path, write_dataset):
    skip_without_vit(config)
    overrides = ["train.max_iter=7", "dataloader.test.dataset.names=other"]
    if "custom" in config:
        json_file, photos = write_dataset([person()])
        overrides += [f"custom.{split}_json={json_file}" for split in ("train", "val")]
        overrides.append(f"custom.image_root={photos}")
    cfg = load_config(str(ROOT / config), overrides)
    saved = tmp_path / "config.yaml"
    LazyConfig.save(cfg, str(saved))
    again = load_config(str(saved))
    assert again.train.max_iter == 7
    assert again.dataloader.evaluator.dataset_name == "other"
    assert again.dataloader.test.mapper.hflip_indices.dataset_names == "other"
    assert not Path(f"{saved}.pkl").exists()  # what cannot be saved as text is pickled
    model = instantiate(again.model)
    assert not model.roi_heads.keypoint_on or isinstance(
        model.roi_heads.keypoint_head, SpatialSoftmaxKeypointHead
    )


def test_the_slides_numbers():
    cfg = load_config(str(ROOT / "configs/keypoint_rcnn_R50_FPN_42ep.py"))
    optimizer, schedule = cfg.optimizer, cfg.lr_multiplier
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.02, 0.9, 1e-4)
    assert (cfg.train.epochs, cfg.dataloader.train.total_batch_size) == (42, 8)
    assert (list(schedule.milestones), schedule.unit, schedule.gamma) == ([36, 43], "epochs", 0.1)
    assert (schedule.warmup_factor, schedule.warmup_iters) == (1 / 1000, 1000)
    assert cfg.model.roi_heads.keypoint_head.num_keypoints == 17
    assert cfg.train.log_period == 10


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.max_itr=5", r"no key train.max_itr; did you mean train.max_iter\?"),
        ("trian.max_iter=5", r"did you mean train\?"),
        ("train.max_iter.deeper=5", "no key"),
        ("train.max_iter", "write key=value"),
        ("model._target_=os.system", "not what is called"),
        ("model.pixel_std={_target_: os.system, command: 'true'}", "not what is called"),
        ("train.output_dir=/tmp/ö", "quotes of its own"),
        ("train.max_iter=[1", "cannot be parsed"),
        ("train.output_dir=runs/a,b", r"several values; .*'train.output_dir=\"runs/a,b\"'"),
        (
            "train.inference.test_time.scales=0.7,1.4",
            r"'train.inference.test_time.scales=\[0.7,1.4\]'",
        ),
        ("train.max_iter=range(1,5)", "several values"),
    ],
)
def test_wrong_overrides(override, message):
    with pytest.raises(InputError, match=message):
        load_config(SYNTHETIC, [override])


def test_text_with_a_comma_in_quotes():
    assert load_config(SYNTHETIC, ['train.output_dir="runs/a,b"']).train.output_dir == "runs/a,b"


def test_an_argument_that_the_config_leaves_at_its_default_can_be_set():
    cfg = load_config(SYNTHETIC, ["optimizer.amsgrad=True"])
    assert cfg.optimizer.amsgrad is True


def test_a_missing_config_suggests_the_nearest():
    with pytest.raises(InputError, match=r"did you mean synthetic.py\?"):
        load_config(SYNTHETIC.replace("synthetic", "sinthetic"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.py", "train = dict(", "cannot be loaded"),
        ("b.py", "train = dict()", "defines no model"),
        ("c.yaml", "- 1", "holds no config"),
        ("d.yaml", "train: !!python/object/apply:os.system ['true']", "cannot be loaded"),
        ("e.txt", "", "cannot be loaded"),
    ],
)
def test_files_that_are_no_config(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        load_config(str(tmp_path / name))


def test_epochs_on_the_command_line_count():
    assert load_config(SYNTHETIC, ["train.epochs=2"]).train.max_iter is None
    assert load_config(SYNTHETIC, ["train.epochs=2", "train.max_iter=9"]).train.max_iter == 9


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_has_a_folder_of_its_own(config):
    skip_without_vit(config)
    folder = Path(load_config(str(ROOT / config)).train.output_dir)
    assert folder.name == Path(config).stem


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    cfg = OmegaConf.create({"model": LazyCall(needs_timm)()}, flags={"allow_objects": True})
    with pytest.raises(InputError, match="^model needs timm: pip install timm$"):
        build(cfg, "model")


def needs_timm() -> None:
    import timm  # noqa: F401 - as Detectron2's ViT does
