"""The bench of docs/refined.md: what it trains, sums up and draws; and the page of regions."""

import json

import numpy as np
import pytest
import torch
from detectron2.config import instantiate
from helpers.annotations import person
from PIL import Image

from benchmarks import refined, refined_cases, region_page
from pose_project.data import get_dataset_dicts
from pose_project.engine import load_config
from pose_project.extras.refined_heads.keypoint_heads import (
    GlobalContextKeypointHead,
    LikelihoodKeypointHead,
)
from pose_project.modeling import PoseROIHeads


def record(case: str, seed: int, box: float, learned: float | None) -> dict:
    results = {"box": {"keypoints/AP": box, "keypoints/AR": 0, "bbox/AP": 50.0 + seed}}
    if learned is not None:
        results["learned"] = {"keypoints/AP": learned, "keypoints/AR": 0, "bbox/AP": 0}
    return {"case": case, "seed": seed, "max_iter": 9, "results": results}


def test_mean_and_spread_of_the_seeds(tmp_path, capsys):
    records = [
        record("none", 0, 50, None),
        record("none", 1, 54, None),
        record("oks loss", 0, 51, 60),
    ]
    for number, each in enumerate(records):
        (tmp_path / str(number)).mkdir()
        (tmp_path / f"{number}/record.json").write_text(json.dumps(each))
    plot, output = tmp_path / "plot.png", tmp_path / "all.json"
    curves = tmp_path / "curves.png"
    losses = [{"iteration": each, "loss_keypoint": 8.0 - each} for each in range(3)]
    for seed in (0, 1):
        folder = refined.run_folder(tmp_path, "none", 9, seed)
        folder.mkdir()
        (folder / "metrics.json").write_text("\n".join(map(json.dumps, losses)))
    arguments = ["--runs", str(tmp_path), "--json", str(output), "--plot", str(plot)]
    arguments += ["--curves", str(curves)]
    assert refined.main(arguments) == 0
    rows = {each["case"]: each for each in json.loads(output.read_text())["rows"]}
    assert rows["none"]["seeds"] == [0, 1] and rows["none"]["bbox"] == 50.5
    assert rows["none"]["box"] == {"mean": 52, "spread": pytest.approx(8**0.5)}
    assert rows["oks loss"]["learned"] == {"mean": 60, "spread": None}
    assert Image.open(plot).width > 100
    assert Image.open(curves).width > 100
    assert "52.0 ± 2.8" in capsys.readouterr().out


def test_each_case_is_timed_with_the_model_that_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(refined, "_PHOTOS", "synthetic_demo_val_4")
    monkeypatch.setattr(refined, "_WARM_UPS", 1)
    for case, seed in (("none", 2), ("none", 1), ("context", 0)):
        folder = refined.run_folder(tmp_path, case, 9, seed)
        folder.mkdir()
        cfg = refined.make_config(case, seed, 9, "synthetic_demo_val_4", folder)
        model = instantiate(cfg.model)
        torch.save({"model": model.state_dict()}, folder / "model_final.pth")
        (folder / "record.json").write_text(json.dumps(record(case, seed, 50, None)))
    output = tmp_path / "all.json"
    arguments = ["--runs", str(tmp_path), "--json", str(output)]
    assert refined.main([*arguments, "--times", "9"]) == 0
    times = json.loads(output.read_text())["times_9"]
    assert list(times) == ["none", "context"] and times["none"]["seed"] == 1
    assert times["none"]["ratio"] == 1 and times["none"]["ms"] > 1
    assert 1.1 < times["context"]["parameters"] / times["none"]["parameters"] < 1.2
    assert refined.main([*arguments, "--times", "8"]) == 2
    assert "no model of 8 iterations" in capsys.readouterr().err


@pytest.mark.parametrize("case", refined.CASES)
def test_a_case_is_its_switches(case, tmp_path):
    cfg = refined.make_config(case, 3, 20, "synthetic_demo_val_4", tmp_path)
    heads, head = cfg.model.roi_heads, cfg.model.roi_heads.keypoint_head
    whole = case == "all together"
    has_regions, has_masks = "regions" in case or whole, case == "masks" or whole
    assert (heads._target_ is PoseROIHeads) == (has_regions or has_masks)
    assert heads.get("region_scale", 1.0) == (1.3 if has_regions else 1.0)
    assert heads.get("masks_only_teach", False) == has_masks
    assert (head._target_ is LikelihoodKeypointHead) == ("likelihood" in case)
    assert (head._target_ is GlobalContextKeypointHead) == (case == "context" or whole)
    assert bool(head.get("oks_loss_weight")) == ("oks loss" in case or whole)
    assert (heads.keypoint_pooler.get("canonical_box_size", 224) == 54) == (case == "levels")
    assert bool(head.get("score_loss_weight")) == (case != "none")
    is_tight = cfg.dataloader.train.mapper._target_ is refined_cases.TightBoxesMapper
    assert is_tight == case.startswith("tight boxes")
    assert (cfg.train.seed, cfg.train.max_iter) == (3, 20)


@pytest.mark.parametrize(
    ("case", "config"),
    [
        ("oks loss", "configs/quick/synthetic_refined.py"),
        ("all together", "configs/keypoint_rcnn_R50_FPN_refined_3x.py"),
    ],
)
def test_a_config_has_the_switches_of_its_case(case, config, tmp_path):
    cases = refined.make_config(case, 0, 20, "synthetic_demo_val_4", tmp_path).model.roi_heads
    configs = load_config(config).model.roi_heads
    assert cases._target_ == configs._target_
    for key in ("region_scale", "masks_only_teach"):
        assert cases.get(key) == configs.get(key)
    for key in ("_target_", "oks_sigmas", "oks_loss_weight", "score_loss_weight", "num_heads"):
        assert cases.keypoint_head.get(key) == configs.keypoint_head.get(key)


def test_tight_boxes_leave_as_many_keypoints_outside_as_on_coco(tmp_path):
    people = {True: [], False: []}
    for is_tight, found in people.items():
        case = "tight boxes" if is_tight else "learned score"
        cfg = refined.make_config(case, 0, 20, "synthetic_demo_val_4", tmp_path)
        cfg.dataloader.train.dataset.names = "synthetic_demo_train_60"
        mapper = instantiate(cfg.dataloader.train.mapper)
        for each in get_dataset_dicts("synthetic_demo_train_60"):
            instances = mapper(each)["instances"]
            boxes, points = instances.gt_boxes.tensor, instances.gt_keypoints.tensor
            for box, person_points in zip(boxes.numpy(), points.numpy(), strict=True):
                labelled = person_points[person_points[:, 2] > 0, :2]
                found.append({"box": box, "points": labelled})
    assert region_page.share_outside(people[False], 1.0, 0) < 0.005
    assert 0.04 < region_page.share_outside(people[True], 1.0, 0) < 0.07
    assert region_page.share_outside(people[True], 1.3, 0) < 0.002


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none:20"], "none:20 is not CASE:ITERATIONS:SEED"),
        (["everything:20:0"], "unknown case 'everything'"),
        (["fine-tuned heatmaps:20:0"], "none-660-0/model_final.pth"),
        ([], "no record of a run"),
    ],
)
def test_what_is_refused(arguments, message, tmp_path, capsys):
    assert refined.main(["--runs", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_share_of_keypoints_outside():
    points = np.array([[5.0, 5], [11, 5], [13, 5], [5, -1]])
    people = [{"box": np.array([0.0, 0, 10, 10]), "points": points}]
    assert region_page.share_outside(people, 1.0, 0) == 0.75
    assert region_page.share_outside(people, 1.3, 0) == 0.25
    assert 0.5 < region_page.share_outside(people, 1.0, 0.1) < 0.9


def test_the_page(tmp_path, write_dataset, capsys):
    json_file, photos = write_dataset([person()])
    page = tmp_path / "page.html"
    assert region_page.main([str(json_file), str(photos), str(page)]) == 0
    assert page.read_text().count("<img") == 1 and "1.3 times as large" in page.read_text()
    assert "enlarged by" in capsys.readouterr().out
    json_file.write_text("{}")
    assert region_page.main([str(json_file), str(photos), str(page)]) == 2
    assert "is not a JSON of people with keypoints" in capsys.readouterr().err
