"""Masks under the poses, judged by pixels of a grey photo of 240 x 320."""

import copy

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, Boxes, BoxMode, Instances, Keypoints, PolygonMasks
from pycocotools import mask as mask_util

from pose_project.extras.pictures.side_by_side import draw_side_by_side
from pose_project.structures import KeypointSchema
from pose_project.structures.schema import SIDE_COLOURS
from pose_project.utils.errors import InputError
from pose_project.visualization import PoseVisualizer

HW = (240, 320)
HANDS = KeypointSchema(names=("left_hand", "right_hand"), flip_pairs=(("left_hand", "right_hand"),))
LEFT_BOX, RIGHT_BOX = [20.0, 40.0, 140.0, 200.0], [180.0, 40.0, 300.0, 200.0]
NO_BOX = [0.0, 0.0, 0.0, 0.0]  # draws next to nothing
POLYGON = [40.0, 60.0, 120.0, 60.0, 120.0, 180.0, 40.0, 180.0]


def photo(height: int = HW[0], width: int = HW[1]) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def rectangle(x0: int, y0: int, x1: int, y1: int, hw: tuple[int, int] = HW) -> np.ndarray:
    mask = np.zeros(hw, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


INSIDE = rectangle(40, 60, 120, 180)


def predicted(*masks: np.ndarray, boxes: list | None = None, hw: tuple[int, int] = HW) -> Instances:
    instances = Instances(hw)
    instances.pred_boxes = Boxes(torch.tensor(boxes or [NO_BOX] * len(masks)))
    instances.scores = torch.full((len(masks),), 0.9)
    instances.pred_masks = torch.as_tensor(np.array(masks)).reshape(-1, *masks[0].shape)
    return instances


def draw(instances: Instances, scale: float = 1.0) -> np.ndarray:
    visualizer = PoseVisualizer(photo(*instances.image_size), HANDS, scale)
    return visualizer.draw_instance_predictions(instances).get_image()


def draw_annotation(masks: bool = True, **fields: object) -> np.ndarray:
    annotation = {"bbox": LEFT_BOX, "bbox_mode": BoxMode.XYXY_ABS, **fields}
    visualizer = PoseVisualizer(photo(), HANDS)
    return visualizer.draw_dataset_dict({"annotations": [annotation]}, masks).get_image()


def is_coloured(image: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: neither grey, white nor dark."""
    return np.ptp(image.astype(int), axis=2) > 30


def assert_filled(image: np.ndarray, mask: np.ndarray, border: int = 2) -> None:
    """Check that the mask is coloured and the rest not, but for a border of a few pixels."""
    kernel = np.ones((2 * border + 1,) * 2, np.uint8)
    sure = cv2.erode(mask.astype(np.uint8), kernel) > 0
    possible = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    coloured = is_coloured(image)
    assert sure.any()
    assert coloured[sure].all()
    assert not coloured[~possible].any()


def test_a_predicted_mask_and_nothing_else_is_filled() -> None:
    assert_filled(draw(predicted(INSIDE)), INSIDE)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scale(scale: float) -> None:
    picture = draw(predicted(INSIDE), scale)
    larger = rectangle(*(round(scale * v) for v in (40, 60, 120, 180)), picture.shape[:2])
    assert_filled(picture, larger, border=3)


def test_a_hole_and_an_island_stay_as_they_are() -> None:
    mask = INSIDE & ~rectangle(60, 90, 100, 150) | rectangle(70, 110, 90, 130)
    assert_filled(draw(predicted(mask)), mask)


def test_people_have_different_colours() -> None:
    masks = [rectangle(10 + 50 * i, 50, 50 + 50 * i, 150) for i in range(6)]
    picture = draw(predicted(*masks)).astype(int)
    colours = [picture[100, 30 + 50 * i] for i in range(6)]
    for i, colour in enumerate(colours):
        assert all(np.abs(colour - other).max() > 20 for other in colours[:i])


def test_the_photo_can_be_seen_through() -> None:
    image = photo()
    image[:, 80:] = 60
    visualizer = PoseVisualizer(image, HANDS)
    picture = visualizer.draw_instance_predictions(predicted(INSIDE)).get_image().astype(int)
    assert np.abs(picture[120, 60] - picture[120, 100]).min() > 30


def test_poses_and_boxes_lie_on_top() -> None:
    instances = predicted(INSIDE, boxes=[[60.0, 80.0, 100.0, 160.0]])
    instances.pred_keypoints = torch.tensor([[[80.5, 120.5, 1.0], [0.0, 0.0, 0.0]]])
    picture = draw(instances).astype(int)
    assert np.abs(picture[120, 80] - SIDE_COLOURS["left"]).max() <= 12
    assert picture[120, 57:64].min(axis=1).max() > 200  # the box's white line


def test_people_below_the_threshold_have_no_mask() -> None:
    instances = predicted(INSIDE)
    instances.scores[:] = 0.4
    assert not is_coloured(draw(instances)).any()


@pytest.mark.parametrize(
    "segmentation",
    [
        [POLYGON],
        mask_util.encode(np.asfortranarray(INSIDE.astype(np.uint8))),
        {"size": list(HW), "counts": [60 + 40 * 240, *[120, 120] * 79, 120, 60 + 200 * 240]},
    ],
    ids=["polygon", "rle", "uncompressed"],
)
def test_annotated_masks_are_drawn_on_demand(segmentation) -> None:
    before = copy.deepcopy(segmentation)
    assert_filled(draw_annotation(segmentation=segmentation), INSIDE)
    assert not is_coloured(draw_annotation(masks=False, segmentation=segmentation)).any()
    assert not is_coloured(draw_annotation(segmentation=segmentation, iscrowd=1)).any()
    assert segmentation == before


@pytest.mark.parametrize("fields", [{}, {"segmentation": []}])
def test_annotations_without_a_mask(fields) -> None:
    assert not is_coloured(draw_annotation(**fields)).any()


@pytest.mark.parametrize(
    "masks",
    [PolygonMasks([[np.array(POLYGON)]]), BitMasks(torch.as_tensor(INSIDE)[None])],
    ids=["polygons", "bitmasks"],
)
def test_training_masks(masks) -> None:
    instances = Instances(HW)
    instances.gt_boxes = Boxes(torch.tensor([LEFT_BOX]))
    instances.gt_classes = torch.tensor([0])
    instances.gt_keypoints = Keypoints(torch.zeros(1, 2, 3))
    instances.gt_masks = masks
    picture = PoseVisualizer(photo(), HANDS).draw_training_instances(instances).get_image()
    assert_filled(picture, INSIDE)


def test_empty_and_tiny_masks() -> None:
    picture = draw(predicted(np.zeros(HW, dtype=bool), rectangle(100, 100, 101, 101)))
    assert is_coloured(picture).sum() <= 9
    assert draw(predicted(rectangle(0, 0, 2, 3, (3, 2)), hw=(3, 2))).shape == (3, 2, 3)


def test_no_people() -> None:
    assert (draw(predicted(INSIDE)[torch.zeros(1, dtype=torch.bool)]) == 128).all()


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [10, 10], "counts": [100]},
        {"size": [10**9, 10**9], "counts": b"1"},
        {"counts": "1"},
        {"size": list(HW)},
        {"size": list(HW), "counts": "no such thing"},
        [["x", "y"]],
        [[1.0]],
        7,
    ],
)
def test_malformed_masks_are_refused(segmentation) -> None:
    with pytest.raises(InputError, match="a mask does not fit the photo of 240 x 320 pixels"):
        draw_annotation(segmentation=segmentation)


def test_predicted_masks_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="the predictions: a mask does not fit"):
        draw(predicted(rectangle(0, 0, 28, 28, (28, 28))))


def test_ground_truth_has_masks_where_the_prediction_has_them() -> None:
    annotation = {"bbox": LEFT_BOX, "bbox_mode": BoxMode.XYXY_ABS, "segmentation": [POLYGON]}
    instances = predicted(rectangle(200, 60, 280, 180), boxes=[RIGHT_BOX])
    truth = {"annotations": [annotation]}
    both = is_coloured(draw_side_by_side(photo(), truth, instances, HANDS))
    assert min(half.sum() for half in np.array_split(both, 2, axis=1)) > 5000
    instances.remove("pred_masks")
    assert not is_coloured(draw_side_by_side(photo(), truth, instances, HANDS)).any()
