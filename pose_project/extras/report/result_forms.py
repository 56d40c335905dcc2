"""One predicted person as AlphaPose, MMPose, OpenPifPaf, OpenPose, Ultralytics or COCO write it.

Coordinates stay as they are: each of these tools writes the same numbers when it is scored against
COCO's annotations.
"""

from typing import Any

from pose_project.data.validation import LARGEST_COORDINATE, is_number

OPENPOSE_BODIES = ("pose_keypoints_2d", "joints")
"""Keys of OpenPose's keypoints: its own, and that of AlphaPose's format ``cmu``."""

# MMPose rescores people by the mean of the keypoint scores above this (its CocoMetric).
_MMPOSE_SCORE = 0.2


def to_coco_person(person: Any, image: Any) -> tuple[Any, str]:
    """Return a person with COCO's keys, as far as it has what they need, and whose form it has.

    Args:
        person: as a tool wrote it; what is not a dict is returned as it is.
        image: name or id of the image, None if only the person says it.
    """
    if not isinstance(person, dict):
        return person, "COCO"
    standard = {key: person[key] for key in ("category_id", "score", "bbox") if key in person}
    standard["image_id"] = person.get("image_id") if image is None else image
    body = next((person[key] for key in OPENPOSE_BODIES if key in person), person.get("keypoints"))
    scores = person.get("keypoint_scores")
    keypoints = _flat(body, scores)
    if body is not None:
        standard["keypoints"] = keypoints
    if any(key in person for key in OPENPOSE_BODIES):
        form = "OpenPose"
        standard["score"] = _mean(keypoints[2::3] if isinstance(keypoints, list) else None)
    elif isinstance(scores, list):
        form = "MMPose"
        box_score = person.get("bbox_score", 1.0)
        certain = [each for each in scores if is_usable(each) and each > _MMPOSE_SCORE]
        standard["score"] = box_score * _mean(certain) if is_usable(box_score) else box_score
        standard["bbox"] = _from_corners(person.get("bbox"))
    elif isinstance(person.get("box"), dict):
        form = "Ultralytics"
        standard["score"] = person.get("confidence")
        standard["bbox"] = _from_corners([person["box"].get(k) for k in ("x1", "y1", "x2", "y2")])
    elif isinstance(person.get("box"), list):
        form = "AlphaPose"
        standard["bbox"] = person["box"]
    else:
        form = "COCO"
    if "category_id" not in standard:
        standard["category_id"] = person.get("name", person.get("class"))
    return {key: value for key, value in standard.items() if value is not None}, form


def _flat(points: Any, scores: Any) -> Any:
    """Return keypoints as x, y, score, x, y, score ...; as they are if they cannot be read.

    Where nobody gives a score it is 1.
    """
    if isinstance(points, dict):  # Ultralytics
        x, y, scores = points.get("x"), points.get("y"), points.get("visible")
        if not isinstance(x, list) or not isinstance(y, list):
            return points
        points = [list(each) for each in zip(x, y, strict=False)]
    if not isinstance(points, list):
        return points
    if len(points) == 1 and isinstance(points[0], list) and points[0]:
        points = points[0] if isinstance(points[0][0], list) else points  # (1, K, 2)
    if isinstance(scores, list) and len(points) == 2 * len(scores):
        points = [points[place : place + 2] for place in range(0, len(points), 2)]
    if not all(isinstance(each, list) and len(each) in (2, 3) for each in points):
        return points
    if not isinstance(scores, list) or len(scores) != len(points):
        scores = [each[2] if len(each) == 3 else 1 for each in points]
    return [v for each, score in zip(points, scores, strict=True) for v in (*each[:2], score)]


def _from_corners(box: Any) -> Any:
    """Return XYWH of x0, y0, x1, y1, which MMPose wraps in another list."""
    if isinstance(box, list) and len(box) == 1:
        box = box[0]
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_usable, box)):
        return box
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _mean(values: Any) -> float:
    if not values or not isinstance(values, list) or not all(map(is_usable, values)):
        return 0.0
    return sum(values) / len(values)


def is_usable(value: Any) -> bool:
    """Return whether a value is a number of a sensible size."""
    return is_number(value) and abs(value) < LARGEST_COORDINATE  # NaN is not smaller
