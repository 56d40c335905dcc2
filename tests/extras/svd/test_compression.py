"""A compressed model saves, loads, evaluates and trains like any other."""

import json
import math
from pathlib import Path

import pytest
import torch
from detectron2.config import LazyConfig
from detectron2.modeling.roi_heads import FastRCNNConvFCHead

from pose_project.checkpoint import PoseCheckpointer
from pose_project.engine import PoseTrainer, load_config
from pose_project.extras.svd.compression import build_low_rank_head, full_box_head, low_rank_config
from pose_project.extras.svd.low_rank import LinearSVD, LowRankBoxHead
from pose_project.utils.errors import InputError


def compress(cfg, model, rank):
    full = full_box_head(model)
    compressed = low_rank_config(cfg, [rank] * len(full.fcs))
    decomposed = [LinearSVD.of(layer) for layer in full.fcs]
    model.roi_heads.box_head = build_low_rank_head(compressed, full, decomposed)
    return compressed


def predict(model) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    photo = {"image": torch.randint(0, 255, (3, 96, 128)).float(), "height": 96, "width": 128}
    with torch.no_grad():
        fields = model.eval()([photo])[0]["instances"].get_fields()
    return {
        "boxes": fields["pred_boxes"].tensor,
        **{name: fields[name] for name in ("scores", "pred_keypoints")},
    }


@pytest.mark.integration
def test_saved_and_loaded_it_predicts_and_scores_the_same(tiny_config, tmp_path):
    cfg = tiny_config("model.roi_heads.box_predictor.test_score_thresh=0.0")
    torch.manual_seed(0)
    model = PoseTrainer.build_model(cfg)
    compressed = compress(cfg, model, rank=7)
    PoseCheckpointer(model, str(tmp_path)).save("compact", tag_as_last=False)
    LazyConfig.save(compressed, str(tmp_path / "compact.yaml"))

    again = load_config(str(tmp_path / "compact.yaml"))
    loaded = PoseTrainer.build_model(again)
    path = str(tmp_path / "compact.pth")
    PoseCheckpointer(loaded).load(path, checkpointables=[], complete=True)
    assert isinstance(loaded.roi_heads.box_head, LowRankBoxHead)
    expected, actual = predict(model), predict(loaded)
    assert len(expected["scores"]) > 0
    assert all(torch.equal(actual[name], value) for name, value in expected.items())
    results = []
    for scored_cfg, scored in ((compressed, model), (again, loaded)):
        PoseTrainer.test(scored_cfg, scored)
        output = Path(scored_cfg.train.output_dir) / "inference/coco_instances_results.json"
        results.append(json.loads(output.read_text()))
        output.unlink()
    assert len(results[0]) > 0
    assert results[0] == results[1]


def test_full_rank_predicts_what_the_original_does(tiny_config):
    cfg = tiny_config("model.roi_heads.box_predictor.test_score_thresh=0.0")
    torch.manual_seed(0)
    model = PoseTrainer.build_model(cfg)
    expected = predict(model)
    compress(cfg, model, rank=256)
    actual = predict(model)
    for name, tolerance in (("boxes", 1e-2), ("scores", 1e-4)):
        torch.testing.assert_close(actual[name], expected[name], atol=tolerance, rtol=0)


def test_weights_of_the_original_do_not_fit(tiny_config, tmp_path):
    cfg = tiny_config()
    model = PoseTrainer.build_model(cfg)
    PoseCheckpointer(model, str(tmp_path)).save("full", tag_as_last=False)
    compress(cfg, model, rank=7)
    with pytest.raises(InputError, match="do not fit this model"):
        PoseCheckpointer(model).load(str(tmp_path / "full.pth"), checkpointables=[], complete=True)


def test_the_original_config_is_left_as_it_is(tiny_config):
    cfg = tiny_config()
    low_rank_config(cfg, [8])
    assert type(PoseTrainer.build_model(cfg).roi_heads.box_head) is FastRCNNConvFCHead


def test_ranks_can_be_overridden_and_are_checked(tiny_config, tmp_path):
    LazyConfig.save(low_rank_config(tiny_config(), [8]), str(tmp_path / "compact.yaml"))

    def load(ranks):
        override = f"model.roi_heads.box_head.ranks={ranks}"
        return load_config(str(tmp_path / "compact.yaml"), [override])

    head = PoseTrainer.build_model(load("[4]")).roi_heads.box_head
    assert head.fc1.u.weight.shape == (256, 4)
    with pytest.raises(InputError, match="from 1 to 256"):
        PoseTrainer.build_model(load("[257]"))


def test_what_cannot_be_split_is_refused(tiny_config):
    cfg = tiny_config()
    model = PoseTrainer.build_model(cfg)
    compress(cfg, model, rank=8)
    with pytest.raises(InputError, match="split already"):
        full_box_head(model)
    with pytest.raises(InputError, match="box head is a NoneType"):
        full_box_head(torch.nn.Linear(2, 2))
    convolutions = tiny_config(
        "model.roi_heads.box_head.conv_dims=[8]",
        "model.roi_heads.box_head.fc_dims=[]",
        "model.roi_heads.box_predictor.input_shape={channels: 8, height: 7, width: 7}",
    )
    with pytest.raises(InputError, match="with fully connected layers"):
        full_box_head(PoseTrainer.build_model(convolutions))


@pytest.mark.integration
def test_fine_tuning_lowers_the_loss(start, tiny_config, tmp_path):
    """Thirty iterations from compressed weights, as ``tools/train_net.py`` would take them."""
    settings = ["train.max_iter=30", "lr_multiplier.warmup_iters=5"]
    model = PoseTrainer.build_model(tiny_config())
    compressed = compress(tiny_config(*settings, folder="tuned"), model, rank=8)
    PoseCheckpointer(model, str(tmp_path)).save("compact", tag_as_last=False)
    compressed.train.init_checkpoint = str(tmp_path / "compact.pth")
    (tmp_path / "tuned").mkdir()
    trainer = PoseTrainer(compressed)
    trainer.resume_or_load(resume=False)
    before = {k: v.clone() for k, v in trainer.model.roi_heads.box_head.state_dict().items()}
    assert all(torch.equal(v, model.roi_heads.box_head.state_dict()[k]) for k, v in before.items())
    trainer.train()
    after = trainer.model.roi_heads.box_head.state_dict()
    assert all(not torch.equal(value, after[name]) for name, value in before.items())
    rows = [json.loads(line) for line in (tmp_path / "tuned/metrics.json").open()]
    losses = [row["total_loss"] for row in rows if "total_loss" in row]
    assert len(losses) == 30 and all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
