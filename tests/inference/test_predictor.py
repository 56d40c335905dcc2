import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.runs import CONFIG, EVERYTHING

from pose_project.checkpoint import PoseCheckpointer
from pose_project.config.building import build
from pose_project.engine import PoseTrainer, load_config
from pose_project.inference import PosePredictor, Poses
from pose_project.utils.errors import InputError


@pytest.fixture(scope="module")
def predictor(weights: Path) -> PosePredictor:
    return PosePredictor.from_files(CONFIG, str(weights), EVERYTHING)


def assert_same(found: Poses, expected: Poses) -> None:
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-2)


def test_same_as_the_model_that_is_evaluated(
    weights: Path, photos: list[np.ndarray], predictor: PosePredictor, tmp_path: Path
) -> None:
    cfg = load_config(CONFIG, EVERYTHING)
    cfg.dataloader.test.mapper.hflip_indices = list(predictor.schema.hflip_indices)
    model = PoseTrainer.build_model(cfg).eval()
    PoseCheckpointer(model).load(str(weights), complete=True)
    file = tmp_path / "photo.png"
    cv2.imwrite(str(file), photos[0])
    height, width = photos[0].shape[:2]
    photo = {"file_name": str(file), "height": height, "width": width, "image_id": 1}
    with torch.no_grad():
        output = model([build(cfg, "dataloader.test.mapper")(photo)])
    assert_same(predictor(photos[0]), Poses.of_instances(output[0]["instances"]))


def test_shapes_and_ranges(predictor: PosePredictor, photos: list[np.ndarray]) -> None:
    poses = predictor(photos[1])
    assert poses.image_size_hw == (200, 90)
    assert len(poses) == 8
    assert poses.boxes.shape == (8, 4) and poses.keypoints.shape == (8, 17, 3)
    assert (poses.boxes >= 0).all() and (poses.boxes <= [90, 200, 90, 200]).all()
    assert (np.diff(poses.scores) <= 0).all()
    assert poses.classes.tolist() == [0] * 8


def test_what_is_found_does_not_depend_on_the_other_photos(
    predictor: PosePredictor, photos: list[np.ndarray]
) -> None:
    for found, photo in zip(predictor.predict(photos), photos, strict=True):
        assert_same(found, predictor(photo))
    assert predictor.predict([]) == []


def test_people_above_a_score(predictor: PosePredictor, photos: list[np.ndarray]) -> None:
    poses = predictor(photos[0])
    best = poses.above(float(poses.scores[2]))
    assert len(best) == 3
    assert (best.keypoints == poses.keypoints[:3]).all()
    nobody = poses.above(1.1)
    assert len(nobody) == 0 and nobody.keypoints.shape == (0, 17, 3)


def test_results_are_in_pixel_indices(predictor: PosePredictor, photos: list[np.ndarray]) -> None:
    poses = predictor(photos[0])
    result = poses.to_coco(42)[0]
    assert result["image_id"] == 42 and result["category_id"] == 1
    x0, y0, x1, y1 = poses.boxes[0].tolist()
    assert result["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0])
    points = np.reshape(result["keypoints"], (17, 3))
    np.testing.assert_allclose(points[:, :2] + 0.5, poses.keypoints[0, :, :2], atol=1e-4)


def test_drawn_by_the_visualizer(predictor: PosePredictor, photos: list[np.ndarray]) -> None:
    instances = predictor(photos[0]).to_instances()
    assert instances.image_size == (120, 160)
    assert instances.pred_keypoints.shape == (8, 17, 3)


def test_without_the_dataset_names_come_from_beside_the_weights(
    photos: list[np.ndarray], tmp_path: Path
) -> None:
    paws = {"id": 7, "name": "cat", "keypoints": ["left_paw", "right_paw", "tail"]}
    sizes = ("model.roi_heads.num_classes=1", "model.roi_heads.keypoint_head.num_keypoints=3")
    config = "configs/custom_dataset.py"
    model = PoseTrainer.build_model(load_config(config, ["train.device=cpu", *sizes]))
    PoseCheckpointer(model, str(tmp_path)).save("cats", provenance={"categories": [paws]})
    # the annotations that this config counts its keypoints in do not exist
    predictor = PosePredictor.from_files(config, str(tmp_path / "cats.pth"), EVERYTHING)
    poses = predictor(photos[0])
    assert poses.keypoints.shape[1:] == (3, 3)
    assert {each["category_id"] for each in poses.to_coco()} == {7}
    assert predictor.schema.hflip_indices == (1, 0, 2)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        None,
    ],
)
def test_refuses_what_is_no_photo(predictor: PosePredictor, image: np.ndarray | None) -> None:
    with pytest.raises(InputError, match="must be an"):
        predictor(image)


def test_refuses_models_that_find_no_keypoints(weights: Path) -> None:
    with pytest.raises(InputError, match="predicts no keypoints"):
        PosePredictor.from_files("configs/faster_rcnn_R50_FPN_person.py", str(weights))
    with pytest.raises(InputError, match="takes boxes as input"):
        PosePredictor.from_files("configs/fast_keypoint_rcnn_R50_FPN.py", str(weights))


def test_refuses_damaged_records_and_missing_weights(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights at"):
        PosePredictor.from_files(CONFIG, str(tmp_path / "none.pth"), EVERYTHING)
    copy = tmp_path / "copy.pth"
    copy.write_bytes(weights.read_bytes())
    for record, message in (
        ("{", "is damaged"),
        ("[]", "is damaged"),
        (json.dumps({"categories": [{"name": "x"}]}), "are wrong"),
        (json.dumps({"categories": [{"id": 1, "name": "x", "keypoints": ["a"]}]}), "1 are named"),
    ):
        copy.with_suffix(".json").write_text(record)
        with pytest.raises(InputError, match=message):
            PosePredictor.from_files(CONFIG, str(copy), EVERYTHING)


@pytest.mark.parametrize(
    "setting",
    ["flip=maybe", "temperature=x", "temperature=0", "oks_nms=7", "scales=5", "scales=[a]"],
)
def test_refuses_settings_of_wrong_type_or_range(weights: Path, setting: str) -> None:
    override = f"train.inference.test_time.{setting}"
    with pytest.raises(InputError, match=override.partition("=")[0]):
        PosePredictor.from_files(CONFIG, str(weights), [*EVERYTHING, override])
