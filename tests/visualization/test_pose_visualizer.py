"""PoseVisualizer, judged by the pixels it draws on a grey photo."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, BoxMode, Instances, Keypoints

from pose_project.structures import COCO_PERSON, KeypointSchema
from pose_project.structures.schema import SIDE_COLOURS
from pose_project.utils.errors import InputError
from pose_project.visualization import PoseVisualizer

GREY = 128
WHITE = (255, 255, 255)
LEFT, RIGHT, MIDDLE = (SIDE_COLOURS[side] for side in ("left", "right", None))
ARMS = KeypointSchema(
    names=("nose", "left_shoulder", "right_shoulder", "left_hand", "right_hand"),
    flip_pairs=(("left_shoulder", "right_shoulder"), ("left_hand", "right_hand")),
    skeleton=(
        ("left_shoulder", "left_hand"),
        ("right_shoulder", "right_hand"),
        ("left_shoulder", "right_shoulder"),
    ),
)
ARMS_XY = np.array([[160.5, 40.5], [220.5, 100.5], [100.5, 100.5], [260.5, 180.5], [60.5, 180.5]])
ARMS_BOX = [40.0, 20.0, 280.0, 200.0]


def photo(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def annotation(v: list[int], xy: np.ndarray = ARMS_XY, **fields: Any) -> dict[str, Any]:
    return {
        "bbox": ARMS_BOX,
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": 0,
        "keypoints": np.column_stack([xy, v]).ravel().tolist(),
        **fields,
    }


def predicted(
    keypoints: Any, boxes: Any = (ARMS_BOX,), scores: Any = (0.9,), num_keypoints: int = 5
) -> Instances:
    instances = Instances((240, 320))
    instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    instances.scores = torch.tensor(scores, dtype=torch.float32)
    points = torch.as_tensor(np.array(keypoints), dtype=torch.float32)
    instances.pred_keypoints = points.reshape(-1, num_keypoints, 3)
    return instances


def arms_predicted(scores: list[float]) -> Instances:
    return predicted(np.column_stack([ARMS_XY, scores])[None])


def draw_annotations(
    *annotations: dict[str, Any],
    schema: KeypointSchema = ARMS,
    size_hw: tuple[int, int] = (240, 320),
) -> np.ndarray:
    visualizer = PoseVisualizer(photo(*size_hw), schema)
    return visualizer.draw_dataset_dict({"annotations": list(annotations)}).get_image()


def draw_predictions(instances: Instances, **thresholds: float) -> np.ndarray:
    visualizer = PoseVisualizer(photo(), ARMS, **thresholds)
    return visualizer.draw_instance_predictions(instances).get_image()


def assert_colour(image: np.ndarray, xy: Any, colour: Any, tolerance: int = 12) -> None:
    x, y = np.floor(xy).astype(int)
    difference = np.abs(image[y, x].astype(int) - colour).max()
    assert difference <= tolerance, (xy, image[y, x], colour)


def count_near(image: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> int:
    return int((np.abs(image.astype(int) - colour).max(axis=2) <= tolerance).sum())


def is_untouched(image: np.ndarray, xy: Any) -> bool:
    x, y = np.floor(xy).astype(int)
    return bool((image[y - 3 : y + 4, x - 3 : x + 4] == GREY).all())


def test_side_colours_are_those_of_the_metadata() -> None:
    rules = ARMS.metadata()["keypoint_connection_rules"]

    assert [colour for _, _, colour in rules] == [LEFT, RIGHT, MIDDLE]


@pytest.mark.parametrize("predictions", [False, True])
def test_dots_and_lines_are_coloured_by_side(predictions: bool) -> None:
    image = (
        draw_predictions(arms_predicted([0.9] * 5))
        if predictions
        else draw_annotations(annotation([2] * 5))
    )

    for xy, colour in zip(ARMS_XY, (MIDDLE, LEFT, RIGHT, LEFT, RIGHT), strict=True):
        assert_colour(image, xy, colour)
    assert_colour(image, (ARMS_XY[1] + ARMS_XY[3]) / 2, LEFT)
    assert_colour(image, (ARMS_XY[2] + ARMS_XY[4]) / 2, RIGHT)
    assert_colour(image, (ARMS_XY[1] + ARMS_XY[2]) / 2, MIDDLE)


def test_visible_is_a_disc_hidden_a_ring_unlabelled_nothing() -> None:
    image = draw_annotations(annotation([2, 2, 0, 1, 0]))

    assert_colour(image, ARMS_XY[1], LEFT)
    assert_colour(image, ARMS_XY[3], WHITE)
    x, y = ARMS_XY[3].astype(int)
    assert count_near(image[y - 6 : y + 7, x - 6 : x + 7], LEFT, tolerance=60) >= 8
    assert is_untouched(image, ARMS_XY[2])
    assert is_untouched(image, ARMS_XY[4])
    assert is_untouched(image, (ARMS_XY[1] + ARMS_XY[2]) / 2), "a line to a point with v = 0"


def test_small_person_still_shows_rings() -> None:
    tiny = annotation([2, 2, 2, 1, 2], xy=100.5 + ARMS_XY // 8, bbox=[100.0, 100.0, 135.0, 125.0])
    image = draw_annotations(tiny)

    assert_colour(image, 100.5 + ARMS_XY[3] // 8, WHITE)
    assert_colour(image, 100.5 + ARMS_XY[4] // 8, RIGHT)


@pytest.mark.parametrize("xy", [(100.5, 60.5), (101.0, 61.0)])
def test_dot_is_centred_on_continuous_coordinates(xy: tuple[float, float]) -> None:
    schema = KeypointSchema(names=("centre",))
    image = draw_annotations(
        annotation([2], xy=np.array([xy]), bbox=[20.0, 20.0, 200.0, 200.0]), schema=schema
    )

    patch = image[40:80, 80:120].astype(float)
    weight = np.abs(patch - GREY).sum(axis=2)
    rows, columns = np.indices(weight.shape) + 0.5
    centre = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    assert np.abs(np.array(centre) + (80, 40) - xy).max() <= 0.3


def test_no_line_that_the_schema_does_not_have() -> None:
    # The stock class draws red lines from the nose to between the shoulders, whatever the schema.
    schema = KeypointSchema(names=ARMS.names, flip_pairs=ARMS.flip_pairs)
    image = draw_annotations(annotation([2] * 5), schema=schema)

    assert is_untouched(image, (ARMS_XY[0] + (ARMS_XY[1] + ARMS_XY[2]) / 2) / 2)
    assert is_untouched(image, (ARMS_XY[1] + ARMS_XY[3]) / 2)
    assert_colour(image, ARMS_XY[3], LEFT)


def test_keypoint_threshold() -> None:
    instances = arms_predicted([0.9, 0.9, 0.9, 0.2, 0.9])

    assert_colour(draw_predictions(instances, keypoint_threshold=0.1), ARMS_XY[3], LEFT)
    strict = draw_predictions(instances, keypoint_threshold=0.3)
    assert is_untouched(strict, ARMS_XY[3])
    assert_colour(strict, ARMS_XY[4], RIGHT)


def test_keypoint_scores_may_exceed_one() -> None:
    assert_colour(draw_predictions(arms_predicted([40.0] * 5)), ARMS_XY[3], LEFT)


def test_track_ids_are_labels() -> None:
    plain, followed = arms_predicted([0.9] * 5), arms_predicted([0.9] * 5)
    followed.track_ids = torch.tensor([12] * len(followed))
    nobody = arms_predicted([0.9] * 5)
    nobody.track_ids = torch.tensor([0] * len(nobody))
    assert (draw_predictions(followed) != draw_predictions(plain)).any()
    assert (draw_predictions(nobody) == draw_predictions(plain)).all()


def test_score_threshold() -> None:
    instances = arms_predicted([0.9] * 5)
    instances.scores[:] = 0.6

    assert (draw_predictions(instances, score_threshold=0.61) == GREY).all()
    assert_colour(draw_predictions(instances, score_threshold=0.59), ARMS_XY[3], LEFT)


def test_predictions_without_keypoints_or_in_bfloat16() -> None:
    boxes_only = arms_predicted([0.9] * 5)
    boxes_only.remove("pred_keypoints")
    half = arms_predicted([0.9] * 5)
    half.pred_keypoints = half.pred_keypoints.bfloat16()

    assert is_untouched(draw_predictions(boxes_only), ARMS_XY[3])
    assert not (draw_predictions(boxes_only) == GREY).all()
    assert_colour(draw_predictions(half), ARMS_XY[3], LEFT)


@pytest.mark.parametrize("missing", [{}, {"keypoints": []}, {"keypoints": None}])
@pytest.mark.parametrize("first", [True, False])
def test_each_annotation_decides_whether_it_has_keypoints(
    missing: dict[str, Any], first: bool
) -> None:
    without = annotation([2] * 5)
    del without["keypoints"]
    annotations = [without | missing, annotation([2] * 5)]

    image = draw_annotations(*(annotations if first else reversed(annotations)))

    assert_colour(image, ARMS_XY[3], LEFT)


def test_crowd_is_hatched() -> None:
    person, crowd = (
        annotation([0] * 5, iscrowd=crowd, bbox=[20, 60, 200, 100], bbox_mode=BoxMode.XYWH_ABS)
        for crowd in (0, 1)
    )
    inside = np.s_[80:150, 30:210]

    assert (draw_annotations(person)[inside] == GREY).all()
    assert 0.02 < (draw_annotations(crowd)[inside] != GREY).mean() < 0.5


def test_training_instances() -> None:
    instances = Instances((240, 320))
    instances.gt_boxes = Boxes(torch.tensor([ARMS_BOX]))
    instances.gt_keypoints = Keypoints(np.column_stack([ARMS_XY, [2, 2, 0, 1, 2]])[None])

    image = PoseVisualizer(photo(), ARMS).draw_training_instances(instances).get_image()

    assert_colour(image, ARMS_XY[1], LEFT)
    assert_colour(image, ARMS_XY[3], WHITE)
    assert is_untouched(image, ARMS_XY[2])


def test_inherited_overlay_draws_our_poses() -> None:
    pose = np.column_stack([ARMS_XY, [0.9] * 5])
    image = PoseVisualizer(photo(), ARMS).overlay_instances(keypoints=[pose]).get_image()

    assert_colour(image, ARMS_XY[3], LEFT)
    assert_colour(image, ARMS_XY[4], RIGHT)


def test_sizes_follow_photo_person_and_scale() -> None:
    schema = KeypointSchema(names=("dot",))

    def dot_area(size: int, person: int, scale: float = 1.0) -> int:
        visualizer = PoseVisualizer(photo(size, size), schema, scale)
        box = [10, 10, person, person]
        one = annotation([2], np.array([[size / 2, size / 2]]), bbox=box, bbox_mode=1)
        return count_near(visualizer.draw_dataset_dict({"annotations": [one]}).get_image(), MIDDLE)

    assert dot_area(600, 400) > 1.5 * dot_area(600, 60)
    assert dot_area(1200, 800) == pytest.approx(4 * dot_area(600, 400), rel=0.2)
    assert dot_area(600, 400, scale=2) == pytest.approx(dot_area(1200, 800), rel=0.1)


def test_does_not_mutate_input() -> None:
    dataset_dict = {"annotations": [annotation([2, 1, 0, 2, 2]), annotation([0] * 5, iscrowd=1)]}
    instances = predicted(
        np.concatenate([np.column_stack([ARMS_XY, [0.9] * 5])[None]] * 2),
        boxes=[[0.0, 0, 10, 10], ARMS_BOX],
        scores=[0.2, 0.9],
    )
    image = photo()
    dict_before, instances_before = copy.deepcopy(dataset_dict), copy.deepcopy(instances)
    names_before = MetadataCatalog.list()

    visualizer = PoseVisualizer(image, ARMS)
    visualizer.draw_dataset_dict(dataset_dict)
    visualizer.draw_instance_predictions(instances).get_image()

    assert (image == GREY).all()
    assert dataset_dict == dict_before
    assert torch.equal(instances.pred_keypoints, instances_before.pred_keypoints)
    assert torch.equal(instances.pred_boxes.tensor, instances_before.pred_boxes.tensor)
    assert torch.equal(instances.scores, instances_before.scores)
    assert MetadataCatalog.list() == names_before


@pytest.mark.parametrize(
    ("size_hw", "scale"),
    [((1, 1), 1), ((1, 1), 4), ((1, 300), 1), ((4000, 60), 1), ((4000, 60), 0.5), ((240, 320), 2)],
)
def test_any_photo_size(size_hw: tuple[int, int], scale: float) -> None:
    visualizer = PoseVisualizer(photo(*size_hw), ARMS, scale)
    visualizer.draw_dataset_dict({"annotations": [annotation([1, 2, 2, 2, 2], iscrowd=1)]})
    image = visualizer.draw_instance_predictions(arms_predicted([0.9] * 5)).get_image()

    assert image.shape == (int(size_hw[0] * scale), int(size_hw[1] * scale), 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e9, 5000.0])
def test_points_and_boxes_that_are_nowhere(bad: float) -> None:
    xy = ARMS_XY.copy()
    xy[3] = bad
    nowhere = annotation([2] * 5, xy=xy, bbox=[bad, 20.0, bad, 200.0])

    image = draw_annotations(nowhere)

    assert image.shape == (240, 320, 3), "a far point must not change the view"
    assert_colour(image, ARMS_XY[4], RIGHT)
    # A line one pixel wide is blended with its outline.
    assert_colour(image, (ARMS_XY[2] + ARMS_XY[4]) / 2, RIGHT, tolerance=40)
    pose = np.column_stack([xy, [np.nan] + [0.9] * 4])
    for box in ([bad, 20.0, bad, 200.0], ARMS_BOX):
        assert_colour(draw_predictions(predicted(pose[None], boxes=[box])), ARMS_XY[4], RIGHT)
    without_box = PoseVisualizer(photo(), ARMS).draw_and_connect_keypoints(pose).get_image()
    assert_colour(without_box, ARMS_XY[4], RIGHT)
    assert_colour(without_box, (ARMS_XY[2] + ARMS_XY[4]) / 2, RIGHT, tolerance=40)


def test_point_just_outside_keeps_its_line_and_the_view() -> None:
    xy = ARMS_XY.copy()
    xy[3] = (340.5, 100.5)
    image = draw_annotations(annotation([2] * 5, xy=xy))

    assert_colour(image, (300.5, 100.5), LEFT)
    assert_colour(image, ARMS_XY[4], RIGHT)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_box_that_is_not_finite_leaves_no_label(bad: float) -> None:
    instances = predicted(np.zeros((1, 5, 3)), boxes=[[bad, 20.0, bad, 200.0]])

    assert (draw_predictions(instances) == GREY).all()


@pytest.mark.parametrize("dataset_dict", [{}, {"annotations": []}])
def test_nothing_to_draw(dataset_dict: dict[str, Any]) -> None:
    visualizer = PoseVisualizer(photo(), ARMS)
    empty = predicted(np.zeros((0, 5, 3)), boxes=[], scores=[])
    visualizer.draw_dataset_dict(dataset_dict)

    assert (visualizer.draw_instance_predictions(empty).get_image() == GREY).all()


@pytest.mark.parametrize("schema", [COCO_PERSON, KeypointSchema(names=("nose", "left_shoulder"))])
def test_another_number_of_keypoints_says_so(schema: KeypointSchema) -> None:
    # The stock class dies with an IndexError where there are fewer names than keypoints.
    message = rf"15 keypoint values .* the schema has {schema.num_keypoints} keypoints"
    with pytest.raises(InputError, match=message):
        PoseVisualizer(photo(), schema).draw_instance_predictions(arms_predicted([0.9] * 5))
    with pytest.raises(InputError, match=f"people.jpg: {message}"):
        PoseVisualizer(photo(), schema).draw_dataset_dict(
            {"file_name": "people.jpg", "annotations": [annotation([2] * 5)]}
        )
