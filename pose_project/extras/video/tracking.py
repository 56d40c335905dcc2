"""Who is who from frame to frame.

Letters: T tracks, N people in a frame, K keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from pose_project.structures import KeypointSchema
from pose_project.structures.boxes import box_iou
from pose_project.structures.oks import AREA_SHARE
from pose_project.structures.poses import Poses

# Standard deviations as shares of a person's height: of what a detection says about the place, of
# the change of the velocity from one frame to the next, and of the velocity of someone new.
_PLACE, _PUSH, _NEW_VELOCITY = 0.015, 0.005, 0.1


@dataclass
class _Track:
    """A person followed: a Kalman filter with constant velocity for the mean of the keypoints.

    It is steadier than the middle of the box, which every swinging limb moves. Both coordinates
    have the same (2, 2) covariance, of place and velocity. Pose and box are the last ones seen,
    which move along.
    """

    number: int
    class_index: int
    box: np.ndarray  # (4,) XYXY
    points: np.ndarray  # (K, 2)
    velocity: np.ndarray  # (2,) px a frame
    covariance: np.ndarray  # (2, 2) px^2
    frames_unseen: int = 0

    def predict(self) -> None:
        height = self.box[3] - self.box[1]
        step = np.array([[1.0, 1.0], [0.0, 1.0]])
        push = (_PUSH * height) ** 2 * np.array([[0.25, 0.5], [0.5, 1.0]])
        self.covariance = step @ self.covariance @ step.T + push
        self.box = self.box + np.tile(self.velocity, 2)
        self.points = self.points + self.velocity
        self.frames_unseen += 1

    def update(self, box: np.ndarray, points: np.ndarray) -> None:
        offset = points.mean(axis=0) - self.points.mean(axis=0)
        noise = (_PLACE * (box[3] - box[1])) ** 2
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + noise)
        self.velocity = self.velocity + gain[1] * offset
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        self.box, self.points, self.frames_unseen = box, points, 0


class PoseTracker:
    """Gives people in the frames of a video numbers that stay theirs.

    Each track is moved on by a Kalman filter (Bewley et al., Simple Online and Realtime Tracking,
    ICIP 2016, section 3.2). Tracks and people are then matched so that the sum of their
    similarities is largest (Hungarian method): the mean of the OKS of the poses and the IoU of the
    boxes, times the squared ratio of the heights. Distances within what the filter is unsure of
    count less, which finds people again after they were hidden; heights tell them apart then.
    People below ``start_score`` are only offered to the tracks that are left, and never start one
    (Zhang et al., ByteTrack, ECCV 2022, section 3).

    Args:
        schema: of the K keypoints; its sigmas make the OKS.
        start_score: people with at least this score start a track.
        keep_score: people below it are ignored.
        min_similarity: in 0..1; less alike is somebody else.
        max_unseen: frames after which a track that nobody matches ends.
    """

    def __init__(
        self,
        schema: KeypointSchema,
        start_score: float = 0.5,
        keep_score: float = 0.1,
        min_similarity: float = 0.05,
        max_unseen: int = 30,
    ) -> None:
        self._schema = schema
        self._sigmas = np.array(schema.oks_sigmas)
        self._start_score, self._keep_score = start_score, keep_score
        self._min_similarity, self._max_unseen = min_similarity, max_unseen
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, poses: Poses) -> np.ndarray:
        """Return the numbers of the people in the next frame.

        Args:
            poses: N people, in pixels of the video.

        Returns:
            (N,) int64 from 1, in the order in which they first appeared; 0 for nobody's.
        """
        for track in self._tracks:
            track.predict()
        numbers = np.zeros(len(poses), np.int64)
        sure = poses.scores >= self._start_score
        weak = ~sure & (poses.scores >= self._keep_score)
        free = self._match(poses, np.flatnonzero(sure), self._tracks, numbers)
        # someone hidden for long is not brought back by an uncertain detection
        seen = [track for track in free if track.frames_unseen == 1]
        self._match(poses, np.flatnonzero(weak), seen, numbers)
        for person in np.flatnonzero(sure & (numbers == 0)):
            numbers[person] = self._start(poses, person)
        self._tracks = [each for each in self._tracks if each.frames_unseen <= self._max_unseen]
        return numbers

    def _match(
        self, poses: Poses, people: np.ndarray, tracks: Sequence[_Track], numbers: np.ndarray
    ) -> list[_Track]:
        """Update tracks and ``numbers`` by the best matches; return the tracks left over."""
        similarity = self._similarity(poses, people, tracks)
        rows, columns = linear_sum_assignment(similarity, maximize=True)
        matched = set()
        for row, column in zip(rows, columns, strict=True):
            if similarity[row, column] > 0:
                person = people[column]
                tracks[row].update(*_place(poses, person))
                numbers[person] = tracks[row].number
                matched.add(row)
        return [track for index, track in enumerate(tracks) if index not in matched]

    def _start(self, poses: Poses, person: int) -> int:
        self._count += 1
        box, points = _place(poses, person)
        height = box[3] - box[1]
        covariance = np.diag([(_PLACE * height) ** 2, (_NEW_VELOCITY * height) ** 2])
        class_index = int(poses.classes[person])
        track = _Track(self._count, class_index, box, points, np.zeros(2), covariance)
        self._tracks.append(track)
        return track.number

    def _similarity(self, poses: Poses, people: np.ndarray, tracks: Sequence[_Track]) -> np.ndarray:
        """Return (T, N) in 0..1; 0 between classes."""
        similarity = np.zeros((len(tracks), len(people)))
        boxes = poses.boxes[people].astype(np.float64)
        points = poses.keypoints[people, :, :2].astype(np.float64)
        for row, track in enumerate(tracks):
            alike = (box_iou(track.box, boxes) + self._oks(track, boxes, points)) / 2
            alike *= _height_ratio(track.box, boxes) ** 2
            is_near = alike >= self._min_similarity
            is_alike = is_near & (poses.classes[people] == track.class_index)
            similarity[row] = np.where(is_alike, alike, 0)
        return similarity

    def _oks(self, track: _Track, boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return (N,) OKS with a track, whose place is uncertain."""
        rows = list(self._schema.class_rows(track.class_index))
        areas = AREA_SHARE * (_area(boxes) + _area(track.box)) / 2
        squared = ((points[:, rows] - track.points[rows]) ** 2).sum(axis=2)
        variances = (2 * self._sigmas[rows]) ** 2 * areas[:, None]
        variances += track.covariance[0, 0] + np.spacing(1)
        return np.exp(-squared / variances / 2).mean(axis=1)


def _place(poses: Poses, person: int) -> tuple[np.ndarray, np.ndarray]:
    return poses.boxes[person].astype(float), poses.keypoints[person, :, :2].astype(float)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 1).prod(axis=-1)


def _height_ratio(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return (N,) in 0..1: the shorter of one box and (N, 4) over the taller."""
    one, heights = (np.maximum(each[..., 3] - each[..., 1], 1) for each in (box, boxes))
    return np.minimum(one, heights) / np.maximum(one, heights)
