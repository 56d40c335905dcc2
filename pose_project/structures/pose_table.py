"""Poses as a table with a row a keypoint."""

from collections.abc import Iterator, Sequence
from typing import Any

from pose_project.structures.poses import Poses
from pose_project.structures.schema import KeypointSchema

POSE_COLUMNS = (
    "person",
    "track_id",
    "category",
    "x0",
    "y0",
    "x1",
    "y1",
    "score",
    "keypoint",
    "x",
    "y",
    "keypoint_score",
)


def pose_rows(
    poses: Poses, category_names: Sequence[str], schema: KeypointSchema
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of ``POSE_COLUMNS`` for each keypoint of each person.

    Coordinates are continuous, in pixels: pixel i covers [i, i + 1). ``person`` counts from 0, the
    best first; ``track_id`` is 0 for people who are not followed.
    """
    for person, (box, score) in enumerate(
        zip(poses.boxes.tolist(), poses.scores.tolist(), strict=True)
    ):
        track_id = 0 if poses.track_ids is None else int(poses.track_ids[person])
        class_index = int(poses.classes[person])
        head = (person, track_id, category_names[class_index], *box, score)
        for row in schema.class_rows(class_index):
            yield (*head, schema.names[row], *poses.keypoints[person, row].tolist())
