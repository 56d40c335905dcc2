"""Registration, filter and sampler on annotations of COCO train2017's size."""

import itertools
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from pose_project.data import get_dataset_dicts, register_keypoint_dataset
from pose_project.data.sampler import PositionalBatchSampler
from pose_project.structures import COCO_PERSON

# COCO train2017: photos with people and annotated people; of these about 150,000 have keypoints.
NUM_PHOTOS, NUM_PEOPLE = 64_115, 262_465
_LABELLED_SHARE = 0.57
_CROWD_SHARE = 0.017
_POLYGON_POINTS = 20


def write_coco_sized_json(path: Path, num_photos: int, num_people: int, seed: int = 0) -> None:
    """Write annotations like COCO's person keypoints, without photos.

    Args:
        path: the JSON file.
        num_photos: entries of ``images``, of COCO's usual sizes.
        num_people: entries of ``annotations``, spread at random.
        seed: the file's bytes depend on it and on the numbers alone.
    """
    rng = np.random.default_rng(seed)
    wide = rng.random(num_photos) < 0.72
    sizes_hw = np.where(wide[:, None], (480, 640), (640, 480))
    photo_of = rng.integers(0, num_photos, num_people)
    boxes = rng.uniform(20, 200, (num_people, 4)).round(2)
    points = rng.integers(20, 400, (num_people, 17, 3))
    points[:, :, 2] = rng.integers(0, 3, (num_people, 17))
    points[rng.random(num_people) > _LABELLED_SHARE] = 0
    points[points[:, :, 2] == 0] = 0
    crowds = rng.random(num_people) < _CROWD_SHARE
    polygon = rng.uniform(20, 400, 2 * _POLYGON_POINTS).round(2).tolist()
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "height": int(h), "width": int(w)}
        for i, (h, w) in enumerate(sizes_hw)
    ]
    annotations = [
        {
            "id": i + 1,  # 0 would be taken for none
            "image_id": int(photo_of[i]),
            "category_id": 1,
            "iscrowd": int(crowds[i]),
            "bbox": boxes[i].tolist(),
            "area": float(boxes[i, 2] * boxes[i, 3]),
            "segmentation": [polygon],
            "keypoints": points[i].flatten().tolist(),
            "num_keypoints": int((points[i, :, 2] > 0).sum()),
        }
        for i in range(num_people)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names), "skeleton": []}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(content), encoding="utf-8")


def measure_dataset(json_file: Path, total_batch_size: int, num_batches: int) -> dict[str, Any]:
    """Register, load, filter and sample a dataset, and return what it took.

    Args:
        json_file: annotations; photos are not opened.
        total_batch_size: of the sampler.
        num_batches: how far the sampler is advanced, as a resumed run would.

    Returns:
        ``photos_kept``, ``iterations_per_epoch``, ``load_and_filter_seconds``,
        ``seconds_to_batch_<num_batches>``, and ``peak_memory_mb`` of the process.
    """
    register_keypoint_dataset(str(json_file), json_file, json_file.parent)
    start = time.perf_counter()
    dicts = get_dataset_dicts(str(json_file), min_keypoints=1)
    loaded = time.perf_counter() - start
    sampler = PositionalBatchSampler(
        [(each["height"], each["width"]) for each in dicts], total_batch_size, seed=0
    )
    sampler.first_batch = num_batches
    start = time.perf_counter()
    next(itertools.islice(sampler, 1))
    return {
        "photos_kept": len(dicts),
        "iterations_per_epoch": len(dicts) // total_batch_size,
        "load_and_filter_seconds": round(loaded, 2),
        f"seconds_to_batch_{num_batches}": round(time.perf_counter() - start, 2),
        "peak_memory_mb": round(_peak_memory_mb()),
    }


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB on Linux
