"""What MoveNet's numbers become; the model itself needs node and a network."""

import json
import shutil

import numpy as np
import pytest
from helpers.annotations import person

from benchmarks import movenet, real_photos
from benchmarks.report import REAL_PHOTOS, _real_photos_section
from pose_project.structures import COCO_PERSON
from pose_project.structures.coco_results import to_coco_results
from pose_project.utils.errors import InputError

IMAGE_HW = (300, 500)  # becomes 154 x 256 in 160 x 256


def values_of(points_xy: np.ndarray, box: tuple[float, ...], score: float) -> np.ndarray:
    """The model's 56 numbers of a person in the photo: shares of the padded input."""
    size_xy = np.array([500, 300 * 160 / 154])
    x0, y0, x1, y1 = (np.reshape(box, (2, 2)) / size_xy).ravel()
    shares = points_xy / size_xy
    flat = np.stack([shares[:, 1], shares[:, 0], np.full(17, 0.5)], axis=1).ravel()
    return np.array([*flat, y0, x0, y1, x1, score])


def test_input_is_resized_and_padded():
    image = np.zeros((*IMAGE_HW, 3), np.uint8)
    image[..., 2] = 200  # red
    made = movenet.to_input(image)
    assert made.shape == (160, 256, 3) and made.dtype == np.uint8
    assert (made[:154, :, 0] == 200).all() and not made[154:].any() and not made[..., 1:].any()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 4000), (33, 32), (640, 427)])
def test_every_size_becomes_multiples_of_32(size_hw):
    height, width, _ = movenet.to_input(np.zeros((*size_hw, 3), np.uint8)).shape
    assert height % 32 == width % 32 == 0 and max(height, width) == 256


def test_points_and_boxes_come_back_in_pixels_of_the_photo():
    points = np.random.default_rng(0).uniform((0, 0), (500, 300), (17, 2))
    box = (20.0, 30.0, 220.0, 290.0)
    raw = np.stack([np.zeros(56), values_of(points, box, 0.3), values_of(points + 1, box, 0.8)])
    poses = movenet.to_poses(raw, IMAGE_HW)
    assert poses.scores.tolist() == pytest.approx([0.8, 0.3])  # nobody is left out
    np.testing.assert_allclose(poses.keypoints[1, :, :2], points, atol=1e-3)
    np.testing.assert_allclose(poses.boxes[1], box, atol=1e-3)
    (best, _) = to_coco_results([poses], [7], COCO_PERSON, [1])
    assert best["image_id"] == 7 and best["category_id"] == 1 and len(best["keypoints"]) == 51
    assert best["bbox"] == pytest.approx([20, 30, 200, 260], abs=1e-3)


def test_what_lies_in_the_padding_is_moved_into_the_photo():
    raw = values_of(np.full((17, 2), 310.0), (-5.0, -5.0, 600.0, 310.0), 0.9)
    poses = movenet.to_poses(raw[None], IMAGE_HW)
    assert poses.boxes.tolist() == [[0, 0, 500, 300]] and poses.keypoints[..., 1].max() == 300


def test_figures_of_a_model_that_is_right(write_dataset):
    json_file, photos = write_dataset([person()])
    real_photos.register_keypoint_dataset(real_photos.DATASET, json_file, photos)
    dicts = real_photos.get_dataset_dicts(real_photos.DATASET, filter_empty=False)
    (truth,) = dicts[0]["annotations"]
    x, y, width, height = truth["bbox"]
    poses = movenet.Poses(
        (64, 80),
        np.array([[x, y, x + width, y + height]], np.float32),
        np.array([0.9], np.float32),
        np.array([0]),
        np.array(truth["keypoints"], np.float32).reshape(1, 17, 3),
    )
    row = real_photos.score("right", dicts, [poses], np.array([0.25]))
    assert row[1:] == pytest.approx((100, 100, 100, 1, 250))


def test_without_node_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="needs node and npm"):
        movenet.install(tmp_path)


def test_the_record_is_a_section_of_the_page():
    from helpers.repository import ROOT

    record = json.loads((ROOT / "docs/benchmarks" / REAL_PHOTOS).read_text(encoding="utf-8"))
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert _real_photos_section(record) in page
    assert any(row["model"].startswith("MoveNet") for row in record["rows"])
