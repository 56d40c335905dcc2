"""Ground truth whose errors are known, because they were put in one by one."""

from collections import Counter

import numpy as np

from pose_project.structures import COCO_PERSON

AREA = 10_000.0
STEP = 150.0  # between keypoints: seven sigmas of the least exact one
SIGMAS = np.array(COCO_PERSON.oks_sigmas)
MIRROR = np.array(COCO_PERSON.hflip_indices)
_ERRORS = ("jitter", "inversion", "swap", "miss")
_GRID = np.stack([np.arange(17) % 5, np.arange(17) // 5], axis=1) * STEP


def place(number: int) -> np.ndarray:
    """(17, 2) the keypoints of the n-th person in a photo; nobody is near anybody else."""
    return _GRID + [100 + 1000.0 * number, 100]


def truth_of(photos: int, people: int, rng: np.random.Generator) -> dict:
    """So many people in each photo; some of their keypoints are not labelled, and some hidden."""
    annotations = []
    for photo in range(photos):
        for number in range(people):
            keypoints = np.concatenate([place(number), np.full((17, 1), 2.0)], axis=1)
            keypoints[rng.random(17) < 0.2, 2] = 1
            keypoints[rng.choice(17, 2, replace=False)] = 0
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": photo + 1,
                    "category_id": 1,
                    "bbox": [100 + 1000.0 * number, 100.0, 4 * STEP, 3 * STEP],
                    "area": AREA,
                    "iscrowd": 0,
                    "num_keypoints": 15,
                    "keypoints": keypoints.flatten().tolist(),
                }
            )
    images = [
        {"id": photo + 1, "file_name": f"{photo + 1}.jpg", "width": 4000, "height": 1000}
        for photo in range(photos)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names)}
    return {"images": images, "annotations": annotations, "categories": [category]}


def result(keypoints: np.ndarray, image_id: int, score: float) -> dict:
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    points = np.concatenate([keypoints, np.full((17, 1), 0.5)], axis=1)
    return {
        "image_id": image_id,
        "category_id": 1,
        "bbox": [*low, *(high - low)],
        "keypoints": points.flatten().tolist(),
        "score": score,
    }


def inject(truth: dict, rng: np.random.Generator, missed: int, extra: int) -> tuple[list, dict]:
    """Predict everybody, with errors; return results, and counts of what was put in.

    The counts are {(kind, keypoint): n} of keypoints, and ``false_positives``,
    ``false_negatives`` and {photo: Counter} under ``photos``.
    """
    counts: Counter = Counter()
    photos: dict[int, Counter] = {each["id"]: Counter() for each in truth["images"]}
    people = truth["annotations"]
    left_out = set(rng.choice(len(people), missed, replace=False).tolist())
    results = []
    for row, person in enumerate(people):
        if row in left_out:
            photos[person["image_id"]]["false_negative"] += 1
            continue
        labels = np.reshape(person["keypoints"], (17, 3))
        points = place(round((person["bbox"][0] - 100) / 1000))
        others = [
            np.reshape(each["keypoints"], (17, 3))
            for each in people
            if each["image_id"] == person["image_id"] and each is not person
        ]
        wrong = set(rng.choice(17, 6, replace=False).tolist())
        for k in range(17):
            if labels[k, 2] == 0:
                points[k] = rng.uniform(0, 4000, 2)  # counts for nothing, wherever it is
                continue
            kind = _ERRORS[rng.integers(4)] if k in wrong else "good"
            if kind == "inversion" and (MIRROR[k] == k or labels[MIRROR[k], 2] == 0):
                kind = "good"
            scale = 2 * SIGMAS[k] * np.sqrt(AREA)
            turn = rng.uniform(0, 2 * np.pi)
            away = np.array([np.cos(turn), np.sin(turn)])
            if kind == "swap":
                other = others[rng.integers(len(others))]
                taken = rng.choice([k, MIRROR[k]])
                if other[taken, 2] == 0:
                    kind = "good"
                else:
                    points[k] = other[taken, :2] + 0.3 * scale * away
            if kind == "inversion":
                points[k] = labels[MIRROR[k], :2] + 0.3 * scale * away
            elif kind == "miss":
                points[k] = labels[k, :2] + STEP / 2
            elif kind in ("good", "jitter"):
                similarity = rng.uniform(*((0.86, 1) if kind == "good" else (0.51, 0.84)))
                points[k] = labels[k, :2] + scale * np.sqrt(-2 * np.log(similarity)) * away
            counts[kind, k] += 1
            photos[person["image_id"]][kind] += 1
        results.append(result(points, person["image_id"], float(rng.uniform(0.5, 1))))
    for image_id in rng.integers(1, len(truth["images"]) + 1, extra).tolist():
        results.append(result(place(0) + [0, 5000], image_id, float(rng.uniform(0, 1))))
        photos[image_id]["false_positive"] += 1
    order = rng.permutation(len(results))
    background = {"false_positives": extra, "false_negatives": missed, "photos": photos}
    return [results[row] for row in order], {**counts, **background}
