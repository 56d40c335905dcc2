import numpy as np
import torch
from detectron2.structures import Boxes, Instances

from pose_project.extras.pictures.side_by_side import join_panels
from pose_project.structures import KeypointSchema
from pose_project.visualization import PoseVisualizer

SCHEMA = KeypointSchema(("a",))
BLACK = np.zeros((100, 200, 3), np.uint8)


def drawn(covariance: list[list[float]] | None) -> np.ndarray:
    instances = Instances((100, 200))
    instances.pred_boxes = Boxes(torch.tensor([[1.0, 1, 199, 99]]))
    instances.scores = torch.tensor([0.9])
    instances.pred_classes = torch.tensor([0])
    instances.pred_keypoints = torch.tensor([[[100.0, 50.0, 0.9]]])
    if covariance is not None:
        instances.pred_keypoint_covs = torch.tensor([[covariance]])
    return PoseVisualizer(BLACK, SCHEMA).draw_instance_predictions(instances).get_image()


def extent(covariance: list[list[float]]) -> tuple[float, float, float]:
    """Return half the width, half the height and the tilt of what a covariance adds."""
    added = np.abs(drawn(covariance).astype(int) - drawn(None)).max(axis=2) > 60
    rows, columns = np.nonzero(added)
    tilt = np.sign(((columns - 100) * (rows - 50)).mean().round())
    return np.ptp(columns) / 2, np.ptp(rows) / 2, float(tilt)


def test_ellipses_are_one_sigma():
    width, height, _ = extent([[900.0, 0.0], [0.0, 225.0]])
    assert abs(width - 30) < 2.5 and abs(height - 15) < 2.5


def test_ellipses_are_tilted_as_the_covariance():
    assert extent([[500.0, 300.0], [300.0, 500.0]])[2] == 1  # right and down
    assert extent([[500.0, -300.0], [-300.0, 500.0]])[2] == -1


def test_undefined_covariances_are_not_drawn():
    assert (drawn([[float("nan"), 0.0], [0.0, 1.0]]) == drawn(None)).all()


def test_panels_stand_side_by_side_under_titles():
    red, blue = np.zeros((2, 50, 300, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    picture = join_panels({"one": red, "a title that is longer": blue, "three": red})
    height, width = picture.shape[:2]
    assert height > 50 and width > 900
    middle = picture[height // 2 + 10]
    assert (middle[width // 6] == [255, 0, 0]).all()
    assert (middle[width // 2] == [0, 0, 255]).all()
