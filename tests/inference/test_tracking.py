"""People keep their numbers in videos of which it is known who is where."""

import numpy as np
import pytest

from pose_project.benchmark.tracking import (
    NUM_FRAMES,
    NUM_PEOPLE,
    count_switches,
    match_people,
    noisy_detections,
    track_noisy_detections,
)
from pose_project.data.synthetic.walking import VIDEO_WH, WalkingVideo
from pose_project.inference.tracking import PoseTracker
from pose_project.structures import COCO_PERSON


@pytest.mark.parametrize("seed", [0, 1])
def test_people_who_cross_keep_their_numbers(seed: int) -> None:
    found = track_noisy_detections(seed)
    assert found["switches"] <= 1
    assert found["tracks"] <= NUM_PEOPLE + 1


def test_the_faults_are_there() -> None:
    counts = [len(people) for _, people in noisy_detections(0)]
    share = sum(counts) / (NUM_FRAMES * NUM_PEOPLE)
    assert share == pytest.approx(0.9 * 0.95, abs=0.02)  # 10 in 100 frames hidden, 5 % dropped


def test_a_switch_is_counted_once() -> None:
    assert count_switches([{0: 1, 1: 2}, {0: 2, 1: 1}, {1: 1}, {0: 2}]) == 2


def test_uncertain_people_start_no_track() -> None:
    tracker = PoseTracker(COCO_PERSON)
    poses, _ = next(noisy_detections(0))
    poses.scores[:] = 0.3
    assert not tracker.update(poses).any()
    poses.scores[:] = 0.9
    assert sorted(tracker.update(poses)) == list(range(1, len(poses) + 1))


def test_frames_show_the_people() -> None:
    video = WalkingVideo(3)
    picture = video.picture(7)
    assert (picture.shape, picture.dtype) == ((*VIDEO_WH[::-1], 3), np.uint8)
    np.testing.assert_array_equal(picture, WalkingVideo(3).picture(7))
    boxes, points = video.people(7)
    assert match_people(boxes, points, points[::-1]) == [(i, 4 - i) for i in range(5)]
