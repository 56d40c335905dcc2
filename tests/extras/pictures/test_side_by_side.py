"""Ground truth beside prediction, on grey photos (128) with room for a box and a dot."""

import numpy as np
import torch
from detectron2.structures import Boxes, BoxMode, Instances

from pose_project.extras.pictures.side_by_side import draw_side_by_side
from pose_project.structures import KeypointSchema
from pose_project.structures.schema import SIDE_COLOURS

HANDS = KeypointSchema(names=("left_hand", "right_hand"), flip_pairs=(("left_hand", "right_hand"),))


def draw(height: int, width: int, score: float = 0.9) -> np.ndarray:
    """Draw a photo whose annotation has only the left hand, its prediction only the right."""
    box = [width * 0.1, height * 0.1, width * 0.9, height * 0.9]
    hand = [width * 0.5, height * 0.5]
    ground_truth = {
        "annotations": [
            {"bbox": box, "bbox_mode": BoxMode.XYXY_ABS, "keypoints": [*hand, 2, 0, 0, 0]}
        ]
    }
    instances = Instances((height, width))
    instances.pred_boxes = Boxes(torch.tensor([box]))
    instances.scores = torch.tensor([score])
    instances.pred_keypoints = torch.tensor([[[0.0, 0.0, 0.0], [*hand, 0.9]]])
    return draw_side_by_side(
        np.full((height, width, 3), 128, dtype=np.uint8), ground_truth, instances, HANDS
    )


def has_colour(image: np.ndarray, side: str) -> bool:
    return bool((np.abs(image.astype(int) - SIDE_COLOURS[side]).max(axis=2) <= 12).any())


def test_ground_truth_is_left_and_prediction_right() -> None:
    picture = draw(480, 640)
    middle = picture.shape[1] // 2
    left, right = picture[:, :middle], picture[:, middle:]

    assert picture.dtype == np.uint8
    assert has_colour(left, "left") and not has_colour(left, "right")
    assert has_colour(right, "right") and not has_colour(right, "left")


def test_panels_have_the_photo_size_under_dark_titles_on_white() -> None:
    picture = draw(480, 640)
    is_photo = (picture == 128).all(axis=2)
    rows, columns = (np.flatnonzero(is_photo.sum(axis=axis) > 40) for axis in (1, 0))

    assert rows[-1] - rows[0] + 1 == 480
    assert len(columns) == 2 * 640
    titles = picture[: rows[0]]
    assert titles[0].min() == 255
    for half in np.array_split(titles, 2, axis=1):
        assert 0.005 < (half.min(axis=2) < 100).mean() < 0.2


def test_score_threshold_holds_for_the_prediction_only() -> None:
    picture = draw(480, 640, score=0.3)

    assert has_colour(picture, "left")
    assert not has_colour(picture, "right")


def test_small_photos_are_enlarged_and_tiny_ones_have_room_for_titles() -> None:
    assert ((draw(240, 320) == 128).all(axis=2).sum(axis=0) > 40).sum() == 2 * 480
    tiny = draw(1, 1)
    assert (tiny[:28].min(axis=2) < 100).any()
