"""What a photo would teach, and that the first photos are not all the same."""

import dataclasses

import numpy as np
import pytest
from helpers.drafts import random_poses

from pose_project.extras.labelling.people import expected_similarity, match_boxes
from pose_project.extras.labelling.ranking import Lesson, choose, lesson_of
from pose_project.extras.labelling.views import VIEWS, Candidate, merge, mirrored
from pose_project.inference import Poses
from pose_project.structures import COCO_PERSON


def sure_poses(seed: int, count: int, variance: float = 0.5) -> Poses:
    covariances = np.broadcast_to(variance * np.eye(2, dtype=np.float32), (count, 17, 2, 2))
    return dataclasses.replace(random_poses(seed, count), covariances=covariances)


def far_apart(seed: int, count: int) -> Poses:
    """People beside each other, so that nobody is taken for another."""
    poses = sure_poses(seed, count)
    shift = 200 * np.arange(count, dtype=np.float32)[:, None]
    boxes, keypoints = poses.boxes.copy(), poses.keypoints.copy()
    boxes[:, 0::2] += shift
    keypoints[..., 0] += shift
    return dataclasses.replace(poses, boxes=boxes, keypoints=keypoints, image_size_hw=(240, 1000))


def test_expected_similarity_is_the_mean_of_drawn_ones() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[30.0, 12.0], [12.0, 9.0]])
    area, sigma = 1500.0, 0.06
    drawn = rng.multivariate_normal([0, 0], covariance, 200_000)
    mean = np.exp(-(drawn**2).sum(axis=1) / (2 * (2 * sigma) ** 2 * area)).mean()

    expected = expected_similarity(covariance[None], area, np.array([sigma]))

    assert expected[0] == pytest.approx(mean, abs=0.003)


def test_mirrored_twice_is_the_same() -> None:
    poses = sure_poses(0, 3)
    covariances = np.random.default_rng(0).normal(size=(3, 17, 2, 2)).astype(np.float32)
    poses = dataclasses.replace(poses, covariances=covariances)

    twice = mirrored(mirrored(poses, COCO_PERSON), COCO_PERSON)

    np.testing.assert_allclose(twice.boxes, poses.boxes, rtol=1e-4)
    np.testing.assert_allclose(twice.keypoints, poses.keypoints, rtol=1e-4)
    np.testing.assert_array_equal(twice.covariances, poses.covariances)
    once = mirrored(poses, COCO_PERSON)
    left, right = (COCO_PERSON.names.index(f"{side}_wrist") for side in ("left", "right"))
    np.testing.assert_allclose(once.keypoints[:, left, 0], 320 - poses.keypoints[:, right, 0])


def test_people_of_several_views_are_merged() -> None:
    poses = far_apart(0, 3)
    lost = poses.select(np.array([0, 1]))  # one view does not find the third

    people = merge([poses, lost, poses], COCO_PERSON)

    assert len(people) == 3
    assert (people[2].scores > 0).tolist() == [True, False, True]
    assert people[2].presence == pytest.approx(poses.scores[2] * 2 / 3, rel=1e-5)
    assert [each.disagreement for each in people] == pytest.approx([0, 0, 0])


def test_a_pose_that_moves_between_views_disagrees() -> None:
    poses = far_apart(1, 2)
    moved = poses.keypoints.copy()
    moved[0, :, 0] += 60
    views = [poses, dataclasses.replace(poses, keypoints=moved), poses]

    first, second = merge(views, COCO_PERSON)

    assert first.disagreement > 0.4 and second.disagreement == pytest.approx(0)


def test_each_kind_of_loss_is_said() -> None:
    poses = far_apart(2, 3)
    poses = dataclasses.replace(poses, scores=np.array([0.99, 0.98, 0.97], np.float32))
    sure = lesson_of(merge([poses] * 3, COCO_PERSON), COCO_PERSON)
    spread = dataclasses.replace(poses, covariances=poses.covariances * 1000)
    unsure = lesson_of(merge([spread] * 3, COCO_PERSON), COCO_PERSON)
    moved = poses.keypoints.copy()
    moved[0, :, 1] += 50
    moving = lesson_of(
        merge([poses, dataclasses.replace(poses, keypoints=moved), poses], COCO_PERSON), COCO_PERSON
    )
    losing = lesson_of(
        merge([poses, poses.select(np.array([0, 1])), poses], COCO_PERSON), COCO_PERSON
    )

    assert max(sure.pose_loss, sure.disagreement, sure.doubt) < 0.1
    assert unsure.pose_loss > 0.7 and "expected OKS" in unsure.reasons[0]
    assert moving.disagreement > sure.disagreement and "moves" in " ".join(moving.reasons)
    assert losing.doubt > sure.doubt + 0.15 and "lost in some views" in " ".join(losing.reasons)


def test_a_crowd_is_worth_no_more_than_one_of_its_people() -> None:
    poses = dataclasses.replace(far_apart(2, 3), scores=np.full(3, 0.9, np.float32))
    crowd = lesson_of(merge([poses] * 3, COCO_PERSON), COCO_PERSON)
    alone = [
        lesson_of(merge([poses.select(np.array([place]))] * 3, COCO_PERSON), COCO_PERSON).value
        for place in range(3)
    ]
    assert min(alone) <= crowd.value <= max(alone)
    assert crowd.pose_loss > 0
    nobody = dataclasses.replace(poses.select(np.array([0])), scores=np.full(1, 0.05, np.float32))
    assert lesson_of(merge([nobody] * 3, COCO_PERSON), COCO_PERSON).value < 0.2


def test_the_same_photo_many_times_is_chosen_once_before_others() -> None:
    rng = np.random.default_rng(0)
    same = rng.normal(0, 0.4, (1, 17, 2))
    lessons = [Lesson(2.0, 0, 0, same + rng.normal(0, 0.002, same.shape), ()) for _ in range(20)]
    lessons += [Lesson(0.5, 0, 0, rng.normal(0, 0.4, (1, 17, 2)), ()) for _ in range(5)]

    chosen = choose(lessons, 6)

    assert chosen[0][0] < 20 and {place for place, _ in chosen[1:]} == set(range(20, 25))
    assert all(novelty > 0.9 for _, novelty in chosen)


def test_photos_without_people_and_more_than_there_are() -> None:
    empty = Lesson(0, 0, 0, np.zeros((0, 17, 2)), ())
    assert [place for place, _ in choose([empty, empty], 5)] == [0, 1]
    assert lesson_of([], COCO_PERSON).value == 0


def test_no_boxes_match_none() -> None:
    assert match_boxes(np.zeros((0, 4)), np.ones((3, 4))) == []


def test_a_candidate_has_a_score_for_each_view() -> None:
    (person,) = merge([sure_poses(0, 1)] * len(VIEWS), COCO_PERSON)
    assert isinstance(person, Candidate) and person.scores.shape == (len(VIEWS),)
