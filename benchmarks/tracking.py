"""How well people are followed in videos of which it is known who is where.

Letters: P people, N detections.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from pose_project.extras.synthetic.walking import VIDEO_WH, WalkingVideo
from pose_project.extras.video.tracking import PoseTracker
from pose_project.inference import PosePredictor, Poses
from pose_project.structures import COCO_PERSON
from pose_project.structures.oks import AREA_SHARE, keypoint_similarity

NUM_PEOPLE, NUM_FRAMES = 5, 500
NOISE_PX, DROPPED_SHARE = 2.0, 0.05
HIDDEN_FRAMES, HIDDEN_EVERY = 10, 100  # each person once in so many frames
_MIN_OKS = 0.5  # at which a detection counts as a person's


def noisy_detections(seed: int, num_frames: int = NUM_FRAMES) -> Iterator[tuple[Poses, np.ndarray]]:
    """Yield the people of a walking video as a detector with faults may find them.

    Their order changes, 2 px of noise are added to every coordinate, 5 % are left out, and each
    person is hidden for 10 frames in a row once in 100.

    Args:
        seed: of the video and the faults.
        num_frames: how many.

    Yields:
        The N people found, and (N,) which of the P people they are.
    """
    rng = np.random.default_rng(seed)
    video = WalkingVideo(seed, NUM_PEOPLE)
    hidden = np.zeros((num_frames, NUM_PEOPLE), bool)
    for start in range(0, num_frames, HIDDEN_EVERY):
        for person in range(NUM_PEOPLE):
            first = start + rng.integers(HIDDEN_EVERY - HIDDEN_FRAMES)
            hidden[first : first + HIDDEN_FRAMES, person] = True
    for frame in range(num_frames):
        boxes, points = video.people(frame)
        found = rng.permutation(NUM_PEOPLE)
        found = found[~hidden[frame, found] & (rng.random(NUM_PEOPLE) >= DROPPED_SHARE)]
        points = points[found] + rng.normal(0, NOISE_PX, (len(found), *points.shape[1:]))
        boxes = boxes[found] + rng.normal(0, NOISE_PX, (len(found), 4))
        keypoints = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
        scores = np.full(len(found), 0.9, np.float32)
        classes = np.zeros(len(found), np.int64)
        poses = Poses(
            VIDEO_WH[::-1],
            boxes.astype(np.float32),
            scores,
            classes,
            keypoints.astype(np.float32),
        )
        yield poses, found


def count_switches(tracks_of_people: list[dict[int, int]]) -> int:
    """Return how often a person's track is another one than when last found.

    It is the ``IDSW`` of Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking
    Performance, 2008.

    Args:
        tracks_of_people: for each frame the track of each person found.
    """
    last: dict[int, int] = {}
    switches = 0
    for frame in tracks_of_people:
        switches += sum(last.get(person, track) != track for person, track in frame.items())
        last |= frame
    return switches


def track_noisy_detections(seed: int, num_frames: int = NUM_FRAMES) -> dict[str, float]:
    """Return switches, tracks and the seconds of a frame for :func:`noisy_detections`."""
    tracker = PoseTracker(COCO_PERSON)
    frames, seconds = [], 0.0
    for poses, people in noisy_detections(seed, num_frames):
        start = time.perf_counter()
        tracks = tracker.update(poses)
        seconds += time.perf_counter() - start
        frames.append(dict(zip(people.tolist(), tracks.tolist(), strict=True)))
    return {
        "switches": count_switches(frames),
        "tracks": len({track for frame in frames for track in frame.values()}),
        "ms_per_frame": 1000 * seconds / num_frames,
    }


def track_rendered(predictor: PosePredictor, seed: int, num_frames: int) -> dict[str, float]:
    """Return how a trained model's people are followed in the frames of a walking video.

    Returns:
        ``switches``; ``tracks``; ``found``, the share of people, hidden ones included, who have a
        track with OKS of at least 0.5; ``false_tracks_per_frame``, followed people who are nobody.
    """
    video = WalkingVideo(seed, NUM_PEOPLE)
    tracker = PoseTracker(predictor.schema)
    frames, all_tracks, num_false = [], set(), 0
    for frame in range(num_frames):
        poses = predictor(video.picture(frame))
        tracks = tracker.update(poses)
        followed = np.flatnonzero(tracks)
        pairs = match_people(*video.people(frame), poses.keypoints[followed, :, :2])
        frames.append({person: int(tracks[followed[index]]) for person, index in pairs})
        num_false += len(followed) - len(pairs)
        all_tracks |= set(tracks[followed].tolist())
    return {
        "switches": count_switches(frames),
        "tracks": len(all_tracks),
        "found": sum(map(len, frames)) / (num_frames * NUM_PEOPLE),
        "false_tracks_per_frame": num_false / num_frames,
    }


def match_people(boxes: np.ndarray, points: np.ndarray, found: np.ndarray) -> list[tuple[int, int]]:
    """Return (person, index of a detection) of those that belong together, OKS at least 0.5.

    Args:
        boxes: (P, 4) of the people.
        points: (P, K, 2) of the people.
        found: (N, K, 2).
    """
    areas = AREA_SHARE * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    sigmas = np.array(COCO_PERSON.oks_sigmas)
    oks = np.zeros((len(points), len(found)))
    for person in range(len(points)):
        truth = np.broadcast_to(points[person], found.shape)
        area = np.broadcast_to(areas[person], len(found))
        oks[person] = keypoint_similarity(found, truth, area, sigmas).mean(axis=1)
    rows, columns = linear_sum_assignment(oks, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if oks[row, column] >= _MIN_OKS]


def measure_tracking(
    seeds: range, make_predictor: Callable[[], PosePredictor] | None, rendered_frames: int
) -> dict[str, Any]:
    """Return the figures of all seeds, and of a trained model on the first one's pictures.

    Args:
        seeds: of the videos with noisy detections.
        make_predictor: None: without a model.
        rendered_frames: length of the video that is drawn for it.
    """
    noisy = [track_noisy_detections(seed) for seed in seeds]
    record: dict[str, Any] = {
        "videos": len(seeds),
        "frames_each": NUM_FRAMES,
        "people": NUM_PEOPLE,
        "switches": [int(each["switches"]) for each in noisy],
        "most_switches": max(int(each["switches"]) for each in noisy),
        "most_tracks": max(int(each["tracks"]) for each in noisy),
        "ms_per_frame": round(float(np.median([each["ms_per_frame"] for each in noisy])), 3),
    }
    if make_predictor:
        found = track_rendered(make_predictor(), seeds[0], rendered_frames)
        record["rendered_frames"] = rendered_frames
        record |= {f"rendered_{name}": round(value, 3) for name, value in found.items()}
    return record
