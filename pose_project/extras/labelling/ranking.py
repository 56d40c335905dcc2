"""In which order photos are worth labelling: how much a model expects to lose in each, and variety.

All terms have one unit, the OKS of one person, so that they can be added: what a model expects to
lose of somebody's pose, what its views disagree about, and whether somebody is there at all. They
are means over the people of a photo: with sums, the first photos are crowds, which cost most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_project.extras.labelling.people import areas_of, expected_similarity
from pose_project.extras.labelling.views import Candidate
from pose_project.structures import KeypointSchema

_ALIKE = 0.1
"""Poses whose keypoints differ by this, in square roots of the box's area, are much alike."""
_WORTH_SAYING = 0.15


@dataclass(frozen=True)
class Lesson:
    """What labelling a photo would teach.

    Attributes:
        pose_loss: the mean over people of 1 - expected OKS, weighted by their presence; less where
            all of them together are not one.
        disagreement: the same of 1 - OKS between the views.
        doubt: the mean of 2 min(p, 1 - p) over people who are there with presence p: 1 for each of
            whom nobody knows, also one who was found in one view and lost in the others.
        poses: (N, K, 2) everybody's keypoints from the middle of the box, divided by the square
            root of its area; 0 where the person's category has no such keypoint.
        reasons: what of this is worth a line.
    """

    pose_loss: float
    disagreement: float
    doubt: float
    poses: np.ndarray
    reasons: tuple[str, ...]

    @property
    def value(self) -> float:
        """The expected loss, in OKS; 0 to 3."""
        return self.pose_loss + self.disagreement + self.doubt


def lesson_of(people: Sequence[Candidate], schema: KeypointSchema) -> Lesson:
    """Return what a photo with these people would teach."""
    if not people:
        return Lesson(0.0, 0.0, 0.0, np.zeros((0, schema.num_keypoints, 2)), ())
    losses, poses = [], []
    for person in people:
        rows = list(schema.class_rows(person.class_index))
        sigmas = np.array(schema.oks_sigmas)[rows]
        area = float(areas_of(person.box[None])[0])
        losses.append(1 - expected_similarity(person.covariances[rows], area, sigmas))
        middle, size = (person.box[:2] + person.box[2:]) / 2, person.box[2:] - person.box[:2]
        pose = np.zeros((schema.num_keypoints, 2))
        pose[rows] = (person.keypoints[rows, :2] - middle) / np.sqrt(max(float(size.prod()), 1.0))
        poses.append(pose)
    presence = np.array([each.presence for each in people])
    weights = presence / max(presence.sum(), 1.0)
    return Lesson(
        float(weights @ [loss.mean() for loss in losses]),
        float(weights @ [each.disagreement for each in people]),
        float(2 * np.minimum(presence, 1 - presence).mean()),
        np.array(poses),
        tuple(_reasons(people, losses, schema)),
    )


def choose(lessons: Sequence[Lesson], count: int) -> list[tuple[int, float]]:
    """Return the places of the first photos to label, each with how new its poses are, in 0-1.

    One after the other: the photo with the largest value times novelty, which is 1 minus the mean
    over its people of the likeness to the most similar pose that is already chosen. A likeness is
    exp(-d^2 / (2 h^2)), where d is the root of the mean square distance of the keypoints.

    Args:
        lessons: of all photos.
        count: how many to choose.
    """
    owners = np.repeat(np.arange(len(lessons)), [len(each.poses) for each in lessons])
    poses = np.concatenate([each.poses for each in lessons])
    poses = poses.reshape(len(poses), poses.shape[1] * 2)
    counts = np.maximum([len(each.poses) for each in lessons], 1)
    values = np.array([each.value for each in lessons])
    likeness = np.zeros(len(poses))
    chosen: list[tuple[int, float]] = []
    left = np.ones(len(lessons), bool)
    for _ in range(min(count, len(lessons))):
        novelty = 1 - np.bincount(owners, likeness, len(lessons)) / counts
        place = int(np.where(left, values * novelty, -1).argmax())
        chosen.append((place, float(novelty[place])))
        left[place] = False
        for pose in poses[owners == place]:
            likeness = np.maximum(likeness, _likeness(poses, pose))
    return chosen


def _likeness(poses: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Return (N,) likenesses of (N, 2 K) poses to one of (2 K,)."""
    square = 2 * ((poses - pose) ** 2).mean(axis=1)
    return np.exp(-square / (2 * _ALIKE**2))


def _reasons(
    people: Sequence[Candidate], losses: Sequence[np.ndarray], schema: KeypointSchema
) -> list[str]:
    """Return a line for each kind of loss that is worth one, the largest first."""
    lines: list[tuple[float, str]] = []
    present = [place for place, each in enumerate(people) if each.presence >= 0.5]
    if present:
        worst = max(present, key=lambda place: losses[place].mean())
        loss, person = losses[worst], people[worst]
        if loss.mean() >= _WORTH_SAYING:
            names = schema.class_schema(person.class_index).names
            least = [names[row] for row in np.argsort(-loss)[:2]]
            lines.append(
                (
                    sum(float(losses[place].mean()) for place in present),
                    f"pose of {_where(person)}: expected OKS {1 - loss.mean():.2f}, least sure of "
                    f"{' and '.join(least)}",
                )
            )
        moved = max((people[place] for place in present), key=lambda each: each.disagreement)
        if moved.disagreement >= _WORTH_SAYING:
            lines.append(
                (
                    sum(people[place].disagreement for place in present),
                    f"pose of {_where(moved)} moves when the photo is mirrored or smaller: OKS "
                    f"{1 - moved.disagreement:.2f} between views",
                )
            )
    doubtful = [each for each in people if min(each.presence, 1 - each.presence) >= _WORTH_SAYING]
    lost = [each for each in doubtful if each.scores.max() >= 0.5 and each.scores.min() == 0]
    if lost:
        found = int((lost[0].scores > 0).sum())
        lines.append(
            (
                float(len(doubtful)),
                f"{_people(len(lost))} lost in some views, such as {_where(lost[0])}, found in "
                f"{found} of {len(lost[0].scores)}",
            )
        )
    elif doubtful:
        first = max(doubtful, key=lambda each: min(each.presence, 1 - each.presence))
        lines.append(
            (
                float(len(doubtful)),
                f"{_people(len(doubtful))} of whom it is not clear whether they are there, such as "
                f"{_where(first)} with {first.presence:.2f}",
            )
        )
    return [line for _, line in sorted(lines, key=lambda each: -each[0])]


def _where(person: Candidate) -> str:
    x, y = ((person.box[:2] + person.box[2:]) / 2).round().astype(int).tolist()
    return f"the person at ({x}, {y})"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
