"""configs/custom_dataset.py on files as people have them: trained, scored and drawn."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from detectron2.config import instantiate
from helpers.repository import ROOT, load_tool

from pose_project.data import create_hflip_indices, get_schema
from pose_project.data.annotation_files import load_annotations
from pose_project.engine import PoseTrainer, load_config
from pose_project.engine.checks import check_fit
from pose_project.evaluation.scoring import ENGINES, Scorer
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

CONFIG = str(ROOT / "configs/custom_dataset.py")

# A run of seconds.
QUICK = [
    "dataloader.train.total_batch_size=2",
    "dataloader.train.mapper.augmentations.0.short_edge_length=96",
    "dataloader.test.mapper.augmentations.0.short_edge_length=96",
    "model.backbone.bottom_up.stages.num_blocks=[1,1,1,1]",
    "model.roi_heads.keypoint_head.conv_dims=[16]",
    "model.roi_heads.box_predictor.test_score_thresh=0.0",
    "model.roi_heads.box_predictor.test_topk_per_image=2",
    "train.max_iter=1",
    "train.log_period=1",
    "train.visualizations=2",
    "train.device=cpu",
]


def train(folder: Path, json_file: Path, image_root: Path, *overrides: str) -> tuple[dict, list]:
    """Train an iteration, score and draw; return the results and the paths of the drawings."""
    sources = [f"custom.{split}_json={json_file}" for split in ("train", "val")]
    output = [f"custom.image_root={image_root}", f"train.output_dir={folder}"]
    cfg = load_config(CONFIG, [*QUICK, *sources, *output, *overrides])
    folder.mkdir(exist_ok=True)
    trainer = PoseTrainer(cfg)
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    assert np.isfinite(trainer.storage.latest()["total_loss"][0])
    assert trainer.storage.latest()["loss_keypoint"][0] > 0
    return results, sorted((folder / "visualizations").glob("*.png"))


def write(folder: Path, content: dict) -> tuple[Path, Path]:
    """Write annotations, and noise for the photos that they name."""
    for image in content["images"]:
        photo = folder / "export" / image["file_name"]
        photo.parent.mkdir(parents=True, exist_ok=True)
        size = (image["height"], image["width"], 3)
        cv2.imwrite(str(photo), np.random.default_rng(image["id"]).integers(0, 255, size, np.uint8))
    json_file = folder / "export" / "annotations.json"
    json_file.write_text(json.dumps(content))
    return json_file, folder / "export"


def points(count: int, *unlabelled: int, outside: int = 0) -> list[float]:
    """(x, y, v) on a diagonal; where v is ``outside`` x and y are kept, as CVAT does."""
    ramp = np.linspace(14, 60, count)
    visibility = [outside if i in unlabelled else 2 for i in range(count)]
    return np.stack([ramp, ramp * 0.8, visibility], axis=1).flatten().tolist()


def cvat() -> dict:
    """As CVAT exports "COCO Keypoints": every label is a category, boxes are tight, v = 0 has x, y.

    A box drawn beside the skeletons is of a category with empty lists; ``attributes`` is CVAT's.
    """
    common = {"segmentation": [], "iscrowd": 0, "attributes": {"occluded": False}}
    skeleton = {"category_id": 2, **common, "bbox": [14, 11.2, 46, 36.8], "area": 1692.8}
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "url": "", "version": "", "year": ""},
        "categories": [
            {"id": 1, "name": "crate", "supercategory": "", "keypoints": [], "skeleton": []},
            {
                "id": 2,
                "name": "robot",
                "supercategory": "",
                "keypoints": ["l-hand", "r-hand", "l-foot", "r-foot", "head"],
                "skeleton": [[1, 5], [2, 5], [3, 5], [4, 5]],
            },
        ],
        "images": [
            {
                "id": number,
                "width": 96,
                "height": 80,
                "file_name": f"images/default/{number}.png",
                "license": 0,
                "flickr_url": "",
                "coco_url": "",
                "date_captured": 0,
            }
            for number in (1, 2, 3)
        ],
        "annotations": [
            {"id": 1, "image_id": 1, **skeleton, "keypoints": points(5), "num_keypoints": 5},
            {"id": 2, "image_id": 2, **skeleton, "keypoints": points(5, 1, 2), "num_keypoints": 3},
            {
                "id": 3,
                "image_id": 2,
                "category_id": 1,
                **common,
                "bbox": [1, 1, 20, 20],
                "area": 400.0,
            },
        ],
    }


def label_studio() -> dict:
    """As Label Studio exports COCO: ids from 0, no area, one category for all keypoints.

    All keypoints of a photo are one instance, in a tight box; with one keypoint it has no extent.
    Rectangles are instances of their own, with ``ignore``; file names have a prefix.
    """
    names = ["beak", "tail", "left_wing", "right_wing"]
    single = [0, 0, 0, 40, 30, 2, *[0] * 6]
    return {
        "images": [
            {"width": 96, "height": 80, "id": number, "file_name": f"images/5f0{number}-bird.png"}
            for number in (0, 1)
        ],
        "categories": [
            {"id": 0, "name": "bird"},
            {
                "id": 1,
                "name": "default",
                "supercategory": "default",
                "keypoints": names,
                "skeleton": [],
            },
        ],
        "annotations": [
            {
                "id": 0,
                "image_id": 0,
                "category_id": 1,
                "keypoints": [round(each) for each in points(4)],
                "num_keypoints": 4,
                "bbox": [14, 11, 46, 37],
                "iscrowd": 0,
            },
            {
                "id": 1,
                "image_id": 0,
                "category_id": 0,
                "segmentation": [],
                "bbox": [2.0, 3.0, 60.0, 50.0],
                "ignore": 0,
                "iscrowd": 0,
                "area": 3000.0,
            },
            {
                "id": 2,
                "image_id": 1,
                "category_id": 1,
                "keypoints": single,
                "num_keypoints": 1,
                "bbox": [40, 30, 0, 0],
                "iscrowd": 0,
            },
        ],
        "info": {"year": 2025, "version": "1.0", "contributor": "Label Studio"},
    }


@pytest.mark.integration
@pytest.mark.parametrize(
    ("export", "flips"), [(cvat, [1, 0, 3, 2, 4]), (label_studio, [0, 1, 3, 2])]
)
def test_exports_of_labelling_tools(tmp_path, export, flips):
    json_file, image_root = write(tmp_path, export())
    assert create_hflip_indices(f"{json_file}@{image_root}") == flips
    results, drawings = train(tmp_path / "run", json_file, image_root)
    assert results.keys() == {"bbox", "keypoints"}
    assert len(drawings) == 2


@pytest.mark.parametrize("export", [cvat, label_studio])
@pytest.mark.parametrize("engine", ENGINES)
def test_perfect_predictions_on_exports_score_100(tmp_path, export, engine):
    """Ids of 0, fields of unexpected types and missing areas would each cost a part of it."""
    json_file, _ = write(tmp_path, export())
    people = load_annotations(json_file).annotations
    results = [{**each, "score": 0.9} for each in people]
    category_id = people[0]["category_id"]
    for task in ("bbox", "keypoints"):
        scorer = Scorer(load_annotations(json_file).truth(), results, engine)
        stats = scorer.score(task, [0.05] * (len(people[0]["keypoints"]) // 3), None, [category_id])
        assert stats[0] == pytest.approx(1)


def with_keypoints(names: tuple[str, ...]) -> dict:
    """Two photos with an instance each; of the second most keypoints are unlabelled."""
    count = len(names)
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "keypoints": points(count)},
        {"id": 2, "image_id": 2, "category_id": 1, "keypoints": points(count, *range(2, count))},
    ]
    images = [{"id": i, "width": 96, "height": 80, "file_name": f"{i}.png"} for i in (1, 2)]
    category = {"id": 1, "name": "thing", "keypoints": list(names)}
    return {"images": images, "annotations": annotations, "categories": [category]}


def whole_body() -> tuple[str, ...]:
    """133 names: COCO's body, six of the feet, 68 of the face, 21 of each hand."""
    feet = [f"{side}_{part}" for side in ("left", "right") for part in ("toe", "small_toe", "heel")]
    face = [f"face_{number}" for number in range(68)]
    hands = [f"{side}_hand_{number}" for side in ("left", "right") for number in range(21)]
    return (*COCO_PERSON.names, *feet, *face, *hands)


@pytest.mark.parametrize(
    "count", [*(pytest.param(each, marks=pytest.mark.integration) for each in (9, 35)), 133]
)
def test_any_number_of_keypoints(tmp_path, count):
    names = whole_body()
    json_file, image_root = write(tmp_path, with_keypoints(names[-count:]))
    results, drawings = train(tmp_path / "run", json_file, image_root)
    saved = json.loads((tmp_path / "run/inference/coco_instances_results.json").read_text())
    assert saved and {len(each["keypoints"]) for each in saved} == {3 * count}
    assert results["keypoints"]["AR"] >= 0 and len(drawings) == 2
    flips = create_hflip_indices(f"{json_file}@{image_root}")
    assert sum(flip != index for index, flip in enumerate(flips)) >= {9: 0, 35: 28, 133: 64}[count]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("folder", "name", "count"),
    [
        ("crowdpose", "test_crowdpose", 14),
        ("animalpose", "test_animalpose", 20),
        ("horse10", "test_horse10", 22),
        ("jhmdb", "test_jhmdb_sub1", 15),
    ],
)
def test_real_skeletons(test_data, tmp_path, folder, name, count):
    root = test_data / "custom" / folder
    results, drawings = train(tmp_path / "run", root / f"{name}.json", root)
    assert results.keys() == {"bbox", "keypoints"}
    assert len(drawings) == 2
    assert get_schema(f"{root / name}.json@{root}").num_keypoints == count


def test_photos_to_score_on_may_lie_elsewhere(tmp_path):
    train_json, root = write(tmp_path / "a", with_keypoints(("p", "q", "r")))
    val_json, val_root = write(tmp_path / "b", with_keypoints(("p", "q", "r")))
    sources = [f"custom.train_json={train_json}", f"custom.val_json={val_json}"]
    for roots, expected in (
        ([f"custom.image_root={root}"], root),
        ([f"custom.image_root={root}", f"custom.val_image_root={val_root}"], val_root),
    ):
        cfg = load_config(CONFIG, [*QUICK, *sources, *roots])
        assert cfg.dataloader.train.dataset.names == f"{train_json}@{root}"
        assert cfg.dataloader.evaluator.dataset_name == f"{val_json}@{expected}"


def test_other_keypoints_to_score_on_are_refused(tmp_path):
    """Equally many, so that the model would run and its scores would mean nothing."""
    first, root = write(tmp_path / "a", with_keypoints(("p", "q", "r")))
    second, _ = write(tmp_path / "b", with_keypoints(("q", "p", "r")))
    sources = [f"custom.train_json={first}", f"custom.val_json={second}"]
    cfg = load_config(CONFIG, [*QUICK, *sources, f"custom.image_root={root}"])
    with pytest.raises(InputError, match="do not have the same keypoints"):
        PoseTrainer(cfg)


def test_the_full_model_follows_the_annotations(tmp_path):
    content = with_keypoints(whole_body()[:9])
    content["categories"].append({"id": 5, "name": "other", "keypoints": ["tail", "nose"]})
    json_file, image_root = write(tmp_path, content)
    sources = [f"custom.{key}={json_file}" for key in ("train_json", "val_json")]
    config = CONFIG.replace(".py", "_R50_FPN.py")
    cfg = load_config(config, [*sources, f"custom.image_root={image_root}"])
    model = instantiate(cfg.model)
    check_fit(model, cfg.dataloader.test.dataset.names)
    assert (model.roi_heads.num_classes, model.roi_heads.keypoint_head.num_keypoints) == (2, 10)
    assert "keypoint_rcnn_R_50_FPN_3x" in cfg.train.init_checkpoint


@pytest.mark.integration
def test_fine_tuning_takes_over_all_but_the_last_layer(tmp_path):
    first = write(tmp_path / "a", with_keypoints(whole_body()[:9]))
    second = write(tmp_path / "b", with_keypoints(whole_body()[:5]))
    train(tmp_path / "first", *first)
    weights = tmp_path / "first/model_final.pth"
    sources = [f"custom.{split}_json={second[0]}" for split in ("train", "val")]
    overrides = [*QUICK, *sources, f"custom.image_root={second[1]}"]
    cfg = load_config(CONFIG, [*overrides, f"train.init_checkpoint={weights}"])
    trainer = PoseTrainer(cfg)
    fresh = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    trainer.resume_or_load(resume=False)
    loaded = trainer.model.state_dict()
    taken = {key for key in fresh if not fresh[key].equal(loaded[key])}
    assert "roi_heads.keypoint_head.conv_fcn1.weight" in taken
    assert not any("score_lowres" in key for key in taken)


def test_the_three_values_on_the_command_line(tmp_path, capsys):
    json_file, image_root = write(tmp_path, with_keypoints(whole_body()[:9]))
    command = ["--config-file", CONFIG, "--output", str(tmp_path / "drawn"), "--count", "1"]
    sources = [f"custom.{split}_json={json_file}" for split in ("train", "val")]
    tool = load_tool("visualize_data")
    batch = "dataloader.train.total_batch_size=2"
    assert tool.main([*command, *sources, f"custom.image_root={image_root}", batch]) == 0
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 1
    for overrides, message in (
        ([], "set custom.train_json, custom.val_json and custom.image_root"),
        ([*sources, "custom.image_root=nowhere"], "no photos at nowhere"),
        ([*sources, f"custom.image_rot={image_root}"], "did you mean custom.image_root?"),
        ([*sources, f"custom.image_root={image_root}"], "2 photos with people do not fill one"),
    ):
        capsys.readouterr()
        output = f"train.output_dir={tmp_path / 'run'}"
        arguments = ["--config-file", CONFIG, *overrides, output, "train.device=cpu"]
        assert load_tool("train_net").main(arguments) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
