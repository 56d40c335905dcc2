"""Whether an exported model finds what the model in PyTorch finds."""

from dataclasses import dataclass, field

import numpy as np

from pose_project.structures.poses import Poses
from pose_project.utils.errors import PoseError

MOST_BOX_PX, MOST_KEYPOINT_PX, MOST_SCORE = 0.1, 1.0, 1e-3
SHARE_OF_KEYPOINTS = 0.99
_SAME_PERSON_PX = 2.0


class DisagreementError(PoseError):
    """An exported model does not find what the model in PyTorch finds."""


@dataclass
class Agreement:
    """Differences over photos, of the people that both models found.

    Attributes:
        photos: how many were compared.
        photos_without_people: in how many of them PyTorch found nobody.
        people: how many PyTorch found.
        unmatched: how many only one of both found.
        box_px: (people, 4) absolute differences of box sides.
        score: (people,) absolute differences of scores.
        keypoint_px: (people * K,) distances.
    """

    photos: int = 0
    photos_without_people: int = 0
    people: int = 0
    unmatched: int = 0
    box_px: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    score: np.ndarray = field(default_factory=lambda: np.zeros(0))
    keypoint_px: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def add(self, expected: Poses, found: Poses) -> None:
        """Compare what was found in one more photo."""
        pairs = compare_people(expected, found)
        ours, theirs = pairs.T
        self.photos += 1
        self.photos_without_people += len(expected) == 0
        self.people += len(expected)
        self.unmatched += len(expected) + len(found) - 2 * len(pairs)
        boxes = np.abs(expected.boxes[ours] - found.boxes[theirs])
        scores = np.abs(expected.scores[ours] - found.scores[theirs])
        offsets = (expected.keypoints[ours] - found.keypoints[theirs])[..., :2]
        distances = np.linalg.norm(offsets, axis=2).flatten()
        self.box_px = np.concatenate([self.box_px, boxes])
        self.score = np.concatenate([self.score, scores])
        self.keypoint_px = np.concatenate([self.keypoint_px, distances])

    def summary(self) -> dict[str, float | int]:
        """Return counts, the largest differences, and those of 99 % of the keypoints."""
        return {
            "photos": self.photos,
            "photos_without_people": self.photos_without_people,
            "people": self.people,
            "people_that_only_one_found": self.unmatched,
            "box_px_max": _highest(self.box_px),
            "score_max": _highest(self.score),
            "keypoint_px_median": _quantile(self.keypoint_px, 0.5),
            "keypoint_px_99_percent": _quantile(self.keypoint_px, SHARE_OF_KEYPOINTS),
            "keypoint_px_max": _highest(self.keypoint_px),
        }

    def check(self) -> None:
        """Raise ``DisagreementError`` unless all are within the bounds of this module."""
        found = self.summary()
        limits = {
            "people_that_only_one_found": 0,
            "box_px_max": MOST_BOX_PX,
            "score_max": MOST_SCORE,
            "keypoint_px_99_percent": MOST_KEYPOINT_PX,
        }
        # written so that a NaN is beyond every limit
        beyond = [name for name, limit in limits.items() if not found[name] <= limit]
        if beyond:
            differences = ", ".join(f"{each} {found[each]:.4g} > {limits[each]}" for each in beyond)
            raise DisagreementError(f"the exported model is not the one in PyTorch: {differences}")


def compare_people(expected: Poses, found: Poses) -> np.ndarray:
    """Return (P, 2) rows of ``expected`` and ``found`` that are the same person.

    Of the same class, with all sides of the box within 2 px; the nearest first, each once.
    """
    distance = np.abs(expected.boxes[:, None] - found.boxes).max(axis=2, initial=0.0)
    distance = np.where(expected.classes[:, None] == found.classes, distance, np.inf)
    pairs: list[tuple[int, int]] = []
    for position in distance.argsort(axis=None):
        row, column = divmod(int(position), len(found))
        if not distance[row, column] <= _SAME_PERSON_PX:
            break
        if all(row != ours and column != theirs for ours, theirs in pairs):
            pairs.append((row, column))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _highest(values: np.ndarray) -> float:
    return float(values.max(initial=0.0))


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
