"""The R-CNN family: each member trains thirty iterations with falling loss and is scored."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.repository import ROOT
from helpers.runs import COMPACT, REGNET, TINY_RUN, VITDET
from helpers.vit import skip_without_vit

from configs.common.refined import teach_with_masks
from pose_project.data import register_keypoint_dataset, resolve_dataset
from pose_project.engine import PoseTrainer, load_config, runs
from pose_project.inference import PosePredictor
from pose_project.utils.errors import InputError

pytestmark = pytest.mark.integration

LENGTH = [
    "model.roi_heads.box_predictor.test_score_thresh=0.0",
    "train.max_iter=30",
    "train.log_period=1",
    "train.visualizations=2",
    "lr_multiplier.warmup_iters=5",
]
SETTINGS = [*TINY_RUN, "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]", *LENGTH]


def train(
    config: str, folder: Path, *overrides: str, settings: list[str] = SETTINGS
) -> tuple[dict, list[dict]]:
    """Return the results and the rows of metrics.json."""
    output = f"train.output_dir={folder}"
    cfg = load_config(str(ROOT / "configs/quick" / config), [*settings, output, *overrides])
    folder.mkdir(exist_ok=True)
    trainer = PoseTrainer(cfg)
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    return results, rows


def assert_falls(rows: list[dict], loss: str) -> None:
    losses = [row[loss] for row in rows if loss in row]
    assert len(losses) == 30
    assert sum(losses[-5:]) < sum(losses[:5])


def test_faster_rcnn(tmp_path):
    results, rows = train("faster_synthetic.py", tmp_path / "run")
    assert results.keys() == {"bbox"}
    assert_falls(rows, "total_loss")
    assert "loss_keypoint" not in rows[0]
    assert len(list((tmp_path / "run/visualizations").glob("*.png"))) == 2


def test_masks_and_keypoints(tmp_path):
    results, rows = train(
        "mask_synthetic.py", tmp_path / "run", "model.roi_heads.keypoint_head.conv_dims=[16]"
    )
    assert results.keys() == {"bbox", "segm", "keypoints"}
    for loss in ("total_loss", "loss_mask", "loss_keypoint"):
        assert_falls(rows, loss)
    assert (tmp_path / "run/model_best.pth").exists()


def test_the_slides_map_of_28(tmp_path):
    results, rows = train(
        "synthetic.py", tmp_path / "run", "model.roi_heads.keypoint_head.up_scale=1"
    )
    assert results.keys() == {"bbox", "keypoints"}
    assert_falls(rows, "loss_keypoint")


@pytest.mark.parametrize(
    ("config", "overrides"),
    [
        ("keypoint_rcnn_regnety_4gf_FPN_1x.py", REGNET),
        ("keypoint_rcnn_vitdet_b_100ep.py", VITDET),
    ],
)
def test_other_backbones(tmp_path, config, overrides):
    skip_without_vit(config)
    results, rows = train(f"../{config}", tmp_path / "run", *overrides, *COMPACT, settings=LENGTH)
    assert results.keys() == {"bbox", "keypoints"}
    assert_falls(rows, "loss_keypoint")
    assert_falls(rows, "total_loss")


@pytest.fixture
def two_categories(tmp_path) -> list[str]:
    """Half of the synthetic people become dolls, with three keypoints and a tail of their own."""
    overrides = []
    for loader, name in (("train", "synthetic_demo_train_12"), ("test", "synthetic_demo_val_5")):
        metadata = resolve_dataset(name)
        content = json.loads(Path(metadata.json_file).read_text())
        content["categories"].append(
            {
                "id": 7,
                "name": "doll",
                "keypoints": ["tail", "left_eye", "right_eye", "nose"],
                "skeleton": [[1, 4]],
                "oks_sigmas": [0.1, 0.05, 0.05, 0.05],
            }
        )
        for annotation in content["annotations"][::2]:
            points = np.reshape(annotation["keypoints"], (-1, 3))
            annotation["category_id"] = 7
            annotation["keypoints"] = points[[16, 1, 2, 0]].flatten().tolist()
            annotation["num_keypoints"] = int((points[[16, 1, 2, 0], 2] > 0).sum())
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        register_keypoint_dataset(f"zoo_{loader}", path, metadata.image_root)
        overrides.append(f"dataloader.{loader}.dataset.names=zoo_{loader}")
    return overrides


HEADS = ["model.roi_heads.num_classes=2", "model.roi_heads.keypoint_head.num_keypoints=18"]


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
def test_categories_with_keypoints_of_their_own(tmp_path, two_categories, engine):
    results, rows = train(
        "synthetic.py",
        tmp_path / "run",
        *two_categories,
        *HEADS,
        f"dataloader.evaluator.engine={engine}",
    )
    assert_falls(rows, "loss_keypoint")
    assert results.keys() == {"bbox", "keypoints", "keypoints_person", "keypoints_doll"}
    parts = [results[f"keypoints_{name}"]["AR"] for name in ("person", "doll")]
    assert results["keypoints"]["AR"] == pytest.approx(sum(parts) / 2)
    path = tmp_path / "run/inference/coco_instances_results.json"
    lengths = {(e["category_id"], len(e["keypoints"])) for e in json.loads(path.read_text())}
    assert lengths == {(1, 51), (7, 12)}
    assert len(list((tmp_path / "run/visualizations").glob("*.png"))) == 2


def test_a_head_for_one_category_says_what_to_set(tmp_path, two_categories):
    with pytest.raises(InputError, match=r"num_keypoints=18"):
        train("synthetic.py", tmp_path / "run", *two_categories)
    with pytest.raises(InputError, match=r"person, doll.*num_classes=2"):
        train("synthetic.py", tmp_path / "run", *two_categories, HEADS[1])


def test_masks_that_only_teach_are_left_out_of_the_file_for_use(tmp_path):
    """Trained with them, scored and used without; the file for use is complete all the same."""
    folder = tmp_path / "run"
    overrides = [*SETTINGS, f"train.output_dir={folder}", "train.max_iter=3"]
    cfg = load_config(str(ROOT / "configs/quick/synthetic.py"), overrides)
    teach_with_masks(cfg.model, cfg.dataloader)
    cfg.model.roi_heads.mask_head.update(conv_dims=[8])
    cfg.train.checkpointer.for_use = True
    results = runs.train(cfg, resume=False)
    assert results.keys() == {"bbox", "keypoints"}
    rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    assert sum("loss_mask" in row for row in rows) == 3
    final = torch.load(folder / "model_final.pth")["model"]
    for_use = torch.load(folder / "model_use.pth")
    left_out = final.keys() - for_use["model"].keys()
    assert for_use.keys() == {"model"}
    assert left_out and all(key.startswith("roi_heads.mask_head.") for key in left_out)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    poses = [
        PosePredictor.from_files(str(folder / "config.yaml"), str(folder / name))(image)
        for name in ("model_final.pth", "model_use.pth")
    ]
    assert (poses[0].keypoints == poses[1].keypoints).all() and poses[0].masks is None
