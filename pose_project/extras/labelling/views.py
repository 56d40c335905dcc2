"""A photo as a model sees it several times: as it is, mirrored, and from farther away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pose_project.extras.labelling.people import areas_of, match_boxes
from pose_project.inference import PosePredictor
from pose_project.structures import KeypointSchema
from pose_project.structures.oks import keypoint_similarity
from pose_project.structures.poses import Poses

VIEWS = ("as it is", "mirrored", "from farther away")
LEAST_SCORE = 0.05
"""Whoever scores less in a view is not there."""
_FARTHER = 1.3  # a border of so much makes everybody in the photo smaller by as much


@dataclass(frozen=True)
class Candidate:
    """Somebody who was found in one view at least.

    Attributes:
        scores: (V,) in 0-1, of each view; 0 where the person was not found.
        box: (4,) XYXY in pixels, and what follows, of the view with the best score.
        class_index: from 0.
        keypoints: (K, 3) as (x, y, score); the score is the mean of the views.
        covariances: (K, 2, 2) px^2.
        agreement: (K,) OKS's term between each keypoint and those of the other views, their mean,
            in 0-1; 1 of somebody who was found once.
        rows: which of the K rows the person's category has.
        heatmaps: (K, S, S) logits over the cells of the box, None if the model does not keep them.
    """

    scores: np.ndarray
    box: np.ndarray
    class_index: int
    keypoints: np.ndarray
    covariances: np.ndarray
    agreement: np.ndarray
    rows: tuple[int, ...]
    heatmaps: np.ndarray | None = None

    @property
    def disagreement(self) -> float:
        """1 - OKS between the pose and those of the other views, in 0-1."""
        return 1 - float(self.agreement[list(self.rows)].mean())

    @property
    def presence(self) -> float:
        """How far the views agree that somebody is there, in 0-1: the mean score."""
        return float(self.scores.mean())


def look_at(predictor: PosePredictor, images_bgr: Sequence[np.ndarray]) -> list[list[Candidate]]:
    """Return the people of each of some (H, W, 3) uint8 images, found in all views.

    Args:
        predictor: with a temperature, so that there are covariances.
        images_bgr: of any sizes.
    """
    seen = [
        each
        for image in images_bgr
        for each in (image, np.ascontiguousarray(image[:, ::-1]), _with_border(image))
    ]
    found = predictor.predict(seen)
    people = []
    for place in range(0, len(found), len(VIEWS)):
        plain, mirror, farther = found[place : place + len(VIEWS)]
        views = [plain, mirrored(mirror, predictor.schema), farther]
        people.append(merge([each.above(LEAST_SCORE) for each in views], predictor.schema))
    return people


def merge(views: Sequence[Poses], schema: KeypointSchema) -> list[Candidate]:
    """Return the people of several views of a photo, all in the space of the photo."""
    groups: list[dict[int, int]] = []  # of each person: view -> place there
    boxes = np.zeros((0, 4))
    for view, poses in enumerate(views):
        pairs = dict((other, own) for own, other in match_boxes(boxes, poses.boxes))
        for place in range(len(poses)):
            if place in pairs:
                groups[pairs[place]][view] = place
            else:
                groups.append({view: place})
        new = [place for place in range(len(poses)) if place not in pairs]
        boxes = np.concatenate([boxes, poses.boxes[new]])
    return [_candidate(views, group, schema) for group in groups]


def mirrored(poses: Poses, schema: KeypointSchema) -> Poses:
    """Return the poses of a mirrored photo as they are in the photo itself."""
    width = poses.image_size_hw[1]
    boxes = poses.boxes.copy()
    boxes[:, [0, 2]] = width - poses.boxes[:, [2, 0]]
    keypoints = poses.keypoints[:, list(schema.hflip_indices)].copy()
    keypoints[..., 0] = width - keypoints[..., 0]
    covariances = poses.covariances
    if covariances is not None:
        signs = np.array([[1, -1], [-1, 1]], covariances.dtype)
        covariances = covariances[:, list(schema.hflip_indices)] * signs
    heatmaps = poses.heatmaps
    if heatmaps is not None:
        heatmaps = heatmaps[:, list(schema.hflip_indices), :, ::-1]
    mirror = {"boxes": boxes, "keypoints": keypoints, "covariances": covariances}
    return replace(poses, **mirror, heatmaps=heatmaps)


def _candidate(views: Sequence[Poses], group: dict[int, int], schema: KeypointSchema) -> Candidate:
    scores = np.zeros(len(views))
    for view, place in group.items():
        scores[view] = views[view].scores[place]
    best = int(scores.argmax())
    box = views[best].boxes[group[best]].astype(float)
    class_index = int(views[best].classes[group[best]])
    poses = np.stack([views[view].keypoints[place] for view, place in group.items()]).astype(float)
    keypoints = views[best].keypoints[group[best]].astype(float)
    keypoints[:, 2] = poses[:, :, 2].mean(axis=0)
    others = poses[[view != best for view in group], :, :2]
    agreement = np.ones(len(keypoints))
    if len(others):
        areas = np.repeat(areas_of(box[None]), len(others))
        sigmas = np.array(schema.oks_sigmas)
        same = np.broadcast_to(keypoints[:, :2], others.shape)
        agreement = keypoint_similarity(same, others, areas, sigmas).mean(axis=0)
    return Candidate(
        scores,
        box,
        class_index,
        keypoints,
        views[best].covariances[group[best]].astype(float),
        agreement,
        schema.class_rows(class_index),
        None if views[best].heatmaps is None else views[best].heatmaps[group[best]],
    )


def _with_border(image: np.ndarray) -> np.ndarray:
    """Return an image with grey to its right and below, so that coordinates stay as they are.

    Photos are resized to one size for the model: everybody is smaller in it.
    """
    height, width = image.shape[:2]
    size_hw = round(height * _FARTHER), round(width * _FARTHER)
    grey = image.mean(axis=(0, 1)).astype(np.uint8)
    padded = np.broadcast_to(grey, (*size_hw, 3)).copy()
    padded[:height, :width] = image
    return padded
