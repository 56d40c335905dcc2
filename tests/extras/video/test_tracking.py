"""Who is who: known people, with faults as detectors have them."""

import numpy as np
import pytest

from benchmarks.tracking import (
    NUM_FRAMES,
    NUM_PEOPLE,
    count_switches,
    match_people,
    measure_tracking,
    noisy_detections,
    track_noisy_detections,
)
from pose_project.extras.synthetic.walking import VIDEO_WH, WalkingVideo
from pose_project.extras.video.tracking import PoseTracker
from pose_project.inference import Poses
from pose_project.structures import COCO_PERSON

UPRIGHT = np.random.default_rng(0).uniform((0, 0), (40, 100), (17, 2))


def people_at(*places: float, scores: tuple[float, ...] = (), height: float = 100) -> Poses:
    """People 40 px wide, each ``places`` px from the left."""
    points = np.stack([UPRIGHT * height / 100 + (x, 50) for x in places])
    keypoints = np.concatenate([points, np.ones((len(places), 17, 1))], axis=2)
    boxes = np.array([[x, 50, x + 0.4 * height, 50 + height] for x in places])
    return Poses(
        (200, 400),
        boxes.astype(np.float32),
        np.array(scores or [0.9] * len(places), np.float32),
        np.zeros(len(places), np.int64),
        keypoints.astype(np.float32),
    )


def nobody() -> Poses:
    return people_at(0).select(np.zeros(0, np.int64))


@pytest.mark.parametrize("seed", range(4))
def test_at_most_one_switch_in_500_frames_of_five_people(seed: int) -> None:
    assert track_noisy_detections(seed)["switches"] <= 1


def test_the_bound_can_be_missed() -> None:
    """Without its memory the tracker loses everybody who is hidden."""
    frames = []
    tracker = PoseTracker(COCO_PERSON, max_unseen=0)
    for poses, people in noisy_detections(0, 200):
        frames.append(dict(zip(people.tolist(), tracker.update(poses).tolist(), strict=True)))
    assert count_switches(frames) > 20


def test_numbers_follow_people_not_their_order() -> None:
    tracker = PoseTracker(COCO_PERSON)
    assert tracker.update(people_at(10, 100, 200)).tolist() == [1, 2, 3]
    assert tracker.update(people_at(202, 12, 102)).tolist() == [3, 1, 2]


def test_hidden_people_are_found_where_they_must_have_walked() -> None:
    tracker = PoseTracker(COCO_PERSON)
    for frame in range(12):
        tracker.update(people_at(10 + 8 * frame))
    for _ in range(10):
        assert tracker.update(nobody()).shape == (0,)
    # two candidates at equal distance from where the person was last: 98
    assert tracker.update(people_at(10 + 8 * 22, 98 - 88)).tolist() == [1, 2]


def test_people_who_pass_each_other_keep_their_numbers() -> None:
    tracker = PoseTracker(COCO_PERSON)
    for frame in range(60):
        numbers = tracker.update(people_at(20 + 5 * frame, 320 - 5 * frame))
        assert numbers.tolist() == [1, 2]


def test_after_long_it_is_somebody_else() -> None:
    tracker = PoseTracker(COCO_PERSON, max_unseen=5)
    tracker.update(people_at(50))
    for _ in range(6):
        tracker.update(nobody())
    assert tracker.update(people_at(50)).tolist() == [2]


def test_uncertain_people_continue_tracks_but_start_none() -> None:
    tracker = PoseTracker(COCO_PERSON)
    assert tracker.update(people_at(50, 200, scores=(0.9, 0.3))).tolist() == [1, 0]
    assert tracker.update(people_at(50, 200, scores=(0.2, 0.3))).tolist() == [1, 0]
    assert tracker.update(people_at(50, 200, scores=(0.05, 0.9))).tolist() == [0, 2]


def test_heights_tell_people_apart() -> None:
    tracker = PoseTracker(COCO_PERSON)
    tall, short = people_at(100, height=120), people_at(104, height=60)
    both = Poses(
        tall.image_size_hw,
        np.concatenate([tall.boxes, short.boxes]),
        np.concatenate([tall.scores, short.scores]),
        np.concatenate([tall.classes, short.classes]),
        np.concatenate([tall.keypoints, short.keypoints]),
    )
    assert tracker.update(both).tolist() == [1, 2]
    tracker.update(nobody())
    assert tracker.update(short).tolist() == [2]


def test_classes_are_never_mixed() -> None:
    tracker = PoseTracker(COCO_PERSON)
    tracker.update(people_at(50))
    poses = people_at(50)
    poses.classes[:] = 1
    assert tracker.update(poses).tolist() == [2]


def test_the_faults_are_there() -> None:
    counts = [len(people) for _, people in noisy_detections(0)]
    # 10 of 100 frames hidden, 5 % left out
    assert sum(counts) / (NUM_FRAMES * NUM_PEOPLE) == pytest.approx(0.9 * 0.95, abs=0.02)


def test_the_record_of_the_benchmark() -> None:
    record = measure_tracking(range(2, 4), None, 0)
    assert record["videos"] == len(record["switches"]) == 2
    assert record["most_switches"] <= 1 and record["most_tracks"] <= NUM_PEOPLE + 1


def test_switches_are_counted() -> None:
    assert count_switches([{0: 1, 1: 2}, {0: 2, 1: 1}, {}, {0: 2}, {0: 3, 1: 1}]) == 3


def test_walking_people_are_where_they_are_drawn() -> None:
    video = WalkingVideo(3, num_people=1)
    boxes, points = video.people(40)
    again, _ = WalkingVideo(3, num_people=1).people(40)
    np.testing.assert_array_equal(boxes, again)
    # what moves is the person: pixels that differ from another frame lie in both frames' boxes
    other, _ = video.people(90)
    one, two = video.picture(40).astype(int), video.picture(90).astype(int)
    assert one.shape == (*VIDEO_WH[::-1], 3)
    rows, columns = np.nonzero(np.abs(one - two).max(axis=2) > 40)
    inside = np.zeros(len(rows), bool)
    for x0, y0, x1, y1 in (boxes[0], other[0]):
        inside |= (columns >= x0 - 2) & (columns <= x1 + 2) & (rows >= y0 - 2) & (rows <= y1 + 2)
    assert len(rows) > 300 and inside.mean() > 0.98
    assert match_people(boxes, points, points + 1) == [(0, 0)]
    assert match_people(boxes, points, points + 60) == []
