"""Fast R-CNN: training and evaluation on proposals from a file."""

import json

import pytest
from detectron2.config import instantiate
from detectron2.utils.events import EventStorage
from helpers.repository import ROOT
from helpers.runs import TINY_RUN
from omegaconf import OmegaConf

from pose_project.data import get_dataset_dicts
from pose_project.engine import PoseTrainer, load_config
from pose_project.engine.checks import check_proposals
from pose_project.extras.selective_search.precompute import precompute_proposals
from pose_project.utils.errors import InputError

pytestmark = pytest.mark.integration

TINY = [
    *TINY_RUN,
    "dataloader.train.dataset.names=synthetic_demo_train_4",
    "dataloader.test.dataset.names=synthetic_demo_val_2",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
]
FAST = str(ROOT / "configs/quick/fast_synthetic.py")
FULL = str(ROOT / "configs/fast_keypoint_rcnn_R50_FPN.py")


@pytest.fixture(scope="module")
def proposal_files(synthetic_cache, tmp_path_factory) -> list[str]:
    """Overrides that name the proposals of the tiny datasets."""
    pytest.importorskip("skimage", reason="selective search needs scikit-image")
    folder = tmp_path_factory.mktemp("proposals")
    overrides = []
    for loader, name in (("train", "synthetic_demo_train_4"), ("test", "synthetic_demo_val_2")):
        file = folder / f"{name}.pkl"
        precompute_proposals(get_dataset_dicts(name, filter_empty=False), file, limit=300)
        overrides.append(f"dataloader.{loader}.dataset.proposal_files={file}")
    return overrides


def test_thirty_iterations(proposal_files, tmp_path):
    settings = [
        "train.max_iter=30",
        "train.log_period=1",
        "lr_multiplier.warmup_iters=5",
        "train.visualizations=2",
    ]
    folder = tmp_path / "run"
    cfg = load_config(FAST, [*TINY, *proposal_files, *settings, f"train.output_dir={folder}"])
    folder.mkdir()
    trainer = PoseTrainer(cfg)
    assert trainer.model.proposal_generator is None
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    losses = [row["total_loss"] for row in rows if "total_loss" in row]
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert not [name for name in rows[0] if "rpn" in name]
    assert {"bbox", "keypoints"} <= results.keys()
    assert len(list((folder / "visualizations").glob("*.png"))) == 2


def test_the_full_model_takes_proposals_alone(proposal_files):
    """R50-FPN with random weights, one photo: losses of the heads, and what inference returns."""
    cfg = load_config(FULL, [*TINY[:-1], *proposal_files, "dataloader.train.num_workers=0"])
    cfg.model.roi_heads.keypoint_head.conv_dims = [16]
    cfg.model.roi_heads.box_predictor.test_score_thresh = 0.0
    cfg.model.roi_heads.box_predictor.test_topk_per_image = 3
    model = instantiate(cfg.model)
    batch = next(iter(instantiate(cfg.dataloader.train)))
    with EventStorage():
        losses = model(batch)
    assert losses.keys() == {"loss_cls", "loss_box_reg", "loss_keypoint"}
    people = model.eval()([{**batch[0], "height": 96, "width": 128}])[0]["instances"]
    assert people.pred_keypoints.shape[1:] == (17, 3)


def test_a_photo_without_any_proposal(proposal_files):
    model = instantiate(load_config(FAST, []).model).eval()
    cfg = load_config(FAST, [*TINY, *proposal_files])
    photo = next(iter(instantiate(cfg.dataloader.test)))[0]
    photo["proposals"] = photo["proposals"][:0]
    assert len(model([photo])[0]["instances"]) == 0


def test_a_missing_file_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(FAST, TINY)
    with pytest.raises(
        InputError,
        match="no proposals at output/proposals/synthetic_demo_train_4.pkl; make them with: python "
        "tools/precompute_proposals.py --dataset synthetic_demo_train_4 --method "
        "selective_search --output output/proposals/synthetic_demo_train_4.pkl",
    ):
        PoseTrainer(cfg)


def test_a_model_without_rpn_and_a_loader_without_proposals(tmp_path):
    rpn = str(ROOT / "configs/quick/synthetic.py")
    cfg = load_config(rpn, [*TINY, "model.proposal_generator=null"])
    with pytest.raises(InputError, match=r"set dataloader.train.dataset.proposal_files and"):
        PoseTrainer(cfg)
    for loader in ("train", "test"):
        cfg.dataloader[loader].mapper.proposal_topk = 5
        check_proposals(cfg, instantiate(cfg.model), loader)


def test_file_names_follow_the_datasets():
    cfg = load_config(FULL, ["dataloader.test.dataset.names=other"])
    assert cfg.dataloader.test.dataset.proposal_files == "output/proposals/other.pkl"
    assert OmegaConf.is_interpolation(cfg.dataloader.train.dataset, "proposal_files")
