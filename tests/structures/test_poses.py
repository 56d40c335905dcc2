"""Poses from a model's Instances, and as results in COCO's format."""

import json

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.structures import Boxes, Instances

from pose_project.structures import COCO_PERSON, KeypointSchema, merge_schemas
from pose_project.structures.coco_results import to_coco_results
from pose_project.structures.poses import Poses

PERSON = KeypointSchema(("nose", "left_eye", "right_eye"))
DOG = KeypointSchema(("tail", "nose"))


def predicted(
    count: int, seed: int = 0, num_keypoints: int = 17, num_classes: int = 1
) -> Instances:
    random = torch.Generator().manual_seed(seed)
    corner = 40 * torch.rand(count, 2, generator=random)
    size = 20 * torch.rand(count, 2, generator=random)
    return Instances(
        (64, 80),
        pred_boxes=Boxes(torch.cat([corner, corner + size], dim=1)),
        scores=torch.rand(count, generator=random).sort(descending=True).values,
        pred_classes=torch.randint(num_classes, (count,), generator=random),
        pred_keypoints=60 * torch.rand(count, num_keypoints, 3, generator=random),
        pred_keypoint_covs=torch.rand(count, num_keypoints, 2, 2, generator=random),
        pred_masks=torch.rand(count, 64, 80, generator=random) > 0.5,
    )


def test_results_are_detectron2s() -> None:
    """But for the points' half pixel, which Detectron2 subtracts in place."""
    for instances in (predicted(5), predicted(0), predicted(1, seed=1)):
        poses = Poses.of_instances(instances, extras=["masks"])
        (ours, theirs) = (
            to_coco_results([poses], [7], COCO_PERSON, [0]),
            instances_to_coco_json(instances, 7),
        )
        assert json.loads(json.dumps(ours)) == json.loads(json.dumps(theirs))


def test_images_together_are_the_images_one_by_one() -> None:
    """Images without anybody in between, and every value of each person with its own image."""
    images = [
        Poses.of_instances(predicted(count, seed=count), extras=["masks"]) for count in (0, 2, 0, 1)
    ]
    ids = [6, 7, 8, 9]
    together = to_coco_results(images, ids, COCO_PERSON, [3])
    pairs = zip(images, ids, strict=True)
    alone = [to_coco_results([poses], [id_], COCO_PERSON, [3]) for poses, id_ in pairs]
    assert together == sum(alone, [])
    assert [each["image_id"] for each in together] == [7, 7, 9]
    areas = mask_util.area([each["segmentation"] for each in together])
    assert areas.tolist() == [
        int(mask.sum()) for count in (2, 1) for mask in predicted(count, seed=count).pred_masks
    ]
    assert to_coco_results([], [], COCO_PERSON, [3]) == []
    assert to_coco_results(images[:1], [6], COCO_PERSON, [3]) == []


def test_each_category_has_its_own_number_and_keypoints() -> None:
    schema = merge_schemas([("person", PERSON), ("dog", DOG)])
    poses = Poses.of_instances(predicted(6, num_keypoints=schema.num_keypoints, num_classes=2))
    results = to_coco_results([poses], [1], schema, [12, 5])
    assert set(poses.classes.tolist()) == {0, 1}
    for index, result in enumerate(results):
        class_index = poses.classes[index]
        assert result["category_id"] == (12, 5)[class_index]
        points = np.reshape(result["keypoints"], (-1, 3))
        rows = list(schema.class_rows(class_index))
        expected = poses.keypoints[index, rows] - np.float32([0.5, 0.5, 0])
        assert (points == expected).all()


def test_only_people_who_are_followed_have_a_track() -> None:
    poses = Poses.of_instances(predicted(3))
    followed = Poses(**{**vars(poses), "track_ids": np.array([4, 0, 2])})
    results = to_coco_results([followed], [1], COCO_PERSON, [1])
    assert [each.get("track_id") for each in results] == [4, None, 2]
    assert followed.to_instances().track_ids.tolist() == [4, 0, 2]


def test_a_model_without_keypoints_has_boxes_alone() -> None:
    instances = predicted(2)
    instances.remove("pred_keypoints")
    poses = Poses.of_instances(instances)
    assert poses.keypoints.shape == (2, 0, 3)
    (first, _) = to_coco_results([poses], [1], None, [1])
    assert list(first) == ["image_id", "bbox", "score", "category_id"]


def test_extras_are_taken_where_asked_for_and_there() -> None:
    instances = predicted(2)
    assert Poses.of_instances(instances).covariances.shape == (2, 17, 2, 2)
    assert Poses.of_instances(instances).masks is None
    assert Poses.of_instances(instances).heatmaps is None  # the model gives none
    bare = Poses.of_instances(instances, extras=[])
    assert (bare.covariances, bare.masks, bare.heatmaps) == (None, None, None)


def test_the_instances_are_not_changed() -> None:
    instances, before = predicted(2), predicted(2)
    poses = Poses.of_instances(instances, extras=["masks", "covariances"])
    to_coco_results([poses], [1], COCO_PERSON, [1])
    for name, value in before.get_fields().items():
        other = instances.get(name)
        if name == "pred_boxes":
            value, other = value.tensor, other.tensor
        assert torch.equal(value, other), name


@pytest.mark.parametrize("chosen", [np.array([True, False, True]), np.array([2, 0]), []])
def test_select_takes_every_array(chosen: np.ndarray | list[int]) -> None:
    poses = Poses.of_instances(predicted(3), extras=["masks", "covariances"])
    some = poses.select(np.array(chosen, None if len(chosen) else np.int64))
    indices = np.arange(3)[np.array(chosen, None if len(chosen) else np.int64)]
    assert len(some) == len(indices)
    for name in ("boxes", "scores", "classes", "keypoints", "covariances", "masks"):
        every, taken = getattr(poses, name), getattr(some, name)
        assert all(np.all(taken[i] == every[index]) for i, index in enumerate(indices)), name
