"""Ground truth and predictions of COCO val2017's size and difficulty, made from a seed."""

import json
from pathlib import Path

import numpy as np
import torch
from detectron2.structures import Boxes, Instances

from pose_project.structures import COCO_PERSON

_HEIGHT, _WIDTH = 480, 640
_PEOPLE_PER_PHOTO = 2.2  # 11,004 annotated people in 5,000 photos of val2017
_CROWD_SHARE = 0.02
_LABELLED_SHARE = 0.57
_FOUND_SHARE = 0.4  # of the predictions lie near someone


def write_ground_truth(json_file: Path, num_photos: int, seed: int = 0) -> None:
    """Write people with boxes and keypoints in COCO's format, without photos.

    Args:
        json_file: the file to write.
        num_photos: photos; they have 2.2 people on average.
        seed: the file depends on it and ``num_photos`` alone.
    """
    rng = np.random.default_rng(seed)
    num_people = round(_PEOPLE_PER_PHOTO * num_photos)
    boxes = _random_boxes(rng, num_people)
    keypoints = np.concatenate(
        [
            (boxes[:, None, :2] + rng.random((num_people, 17, 2)) * boxes[:, None, 2:]).round(),
            rng.integers(0, 3, (num_people, 17, 1)),
        ],
        axis=2,
    )
    keypoints[rng.random(num_people) > _LABELLED_SHARE] = 0
    keypoints[keypoints[..., 2] == 0] = 0
    photo_of = rng.integers(0, num_photos, num_people)
    is_crowd = rng.random(num_people) < _CROWD_SHARE
    annotations = [
        {
            "id": index + 1,
            "image_id": int(photo_of[index]),
            "category_id": 1,
            "iscrowd": int(is_crowd[index]),
            "bbox": boxes[index].tolist(),
            "area": float(0.6 * boxes[index, 2] * boxes[index, 3]),
            "keypoints": keypoints[index].astype(int).flatten().tolist(),
            "num_keypoints": int((keypoints[index, :, 2] > 0).sum()),
        }
        for index in range(num_people)
    ]
    images = [
        {"id": index, "file_name": f"{index:012d}.jpg", "height": _HEIGHT, "width": _WIDTH}
        for index in range(num_photos)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names), "skeleton": []}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    json_file.write_text(json.dumps(content), encoding="utf-8")


def make_predictions(
    json_file: Path, num_detections: int, seed: int = 0
) -> list[tuple[dict[str, int], Instances]]:
    """Return what a model could predict for a ground truth of :func:`write_ground_truth`.

    Args:
        json_file: the ground truth.
        num_detections: in all photos together; 40 % lie near someone, the better the surer.
        seed: the predictions depend on it, the file and ``num_detections`` alone.

    Returns:
        For each photo the model's input, with ``image_id``, and the predicted instances.
    """
    rng = np.random.default_rng(seed)
    content = json.loads(json_file.read_text(encoding="utf-8"))
    people = content["annotations"]
    of_person = rng.integers(0, len(people), num_detections)
    is_near = rng.random(num_detections) < _FOUND_SHARE
    boxes = np.array([each["bbox"] for each in people])[of_person]
    keypoints = np.array([each["keypoints"] for each in people], dtype=float)[of_person]
    keypoints = keypoints.reshape(num_detections, 17, 3)
    photo_of = np.array([each["image_id"] for each in people])[of_person]
    photo_of = np.where(is_near, photo_of, rng.integers(0, len(content["images"]), num_detections))
    boxes[~is_near] = _random_boxes(rng, int((~is_near).sum()))
    error = rng.exponential(0.08, num_detections)
    size = np.sqrt(boxes[:, 2] * boxes[:, 3])
    boxes[:, :2] += rng.normal(size=(num_detections, 2)) * (error * size)[:, None]
    boxes[:, 2:] *= np.exp(rng.normal(size=(num_detections, 2)) * error[:, None])
    shift = rng.normal(size=(num_detections, 17, 2)) * (error * size)[:, None, None]
    keypoints[..., :2] += shift + 0.5
    keypoints[..., 2] = rng.random((num_detections, 17))
    scores = np.clip(0.9 * is_near - error + rng.normal(0.1, 0.15, num_detections), 0.01, 0.999)
    columns = {
        "boxes": torch.tensor(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])).float(),
        "scores": torch.tensor(scores).float(),
        "keypoints": torch.tensor(keypoints).float(),
    }
    order = np.argsort(photo_of, kind="stable")
    ends = np.searchsorted(photo_of[order], np.arange(len(content["images"]) + 1))
    predictions = []
    for image, start, stop in zip(content["images"], ends[:-1], ends[1:], strict=True):
        rows = torch.from_numpy(order[start:stop])
        instances = Instances(
            (_HEIGHT, _WIDTH),
            pred_boxes=Boxes(columns["boxes"][rows]),
            scores=columns["scores"][rows],
            pred_classes=torch.zeros(len(rows), dtype=torch.int64),
            pred_keypoints=columns["keypoints"][rows],
        )
        predictions.append(({"image_id": image["id"]}, instances))
    return predictions


def _random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return (count, 4) XYWH_ABS of COCO's spread of sizes."""
    size = np.exp(rng.uniform(np.log(12), np.log(350), (count, 2)))
    corner = rng.random((count, 2)) * np.maximum((_WIDTH, _HEIGHT) - size, 1)
    return np.hstack([corner, size]).round(2)
