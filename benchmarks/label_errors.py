"""How many planted label errors are found among the first that ``find-label-errors`` shows.

    python -m benchmarks.label_errors --weights output/demo/model_final.pth \
        --json docs/benchmarks/label_errors.json

100 errors are planted in the labels of 400 synthetic photos that the model was not trained on, each
with another person: left and right exchanged, one keypoint shifted by three sigmas in a random
direction, somebody forgotten. A sigma is where OKS's term of a keypoint is exp(-1/2), a distance of
2 sigma_k sqrt(area), as in docs/test_time.md.
"""

import argparse
import copy
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_project.config.loading import load_config
from pose_project.extras.labelling.label_errors import PERSON, POINT, SIDES, Suspect, suspects_of
from pose_project.extras.labelling.photos import load_predictor, look_at_photos
from pose_project.extras.synthetic.generation import ensure_synthetic_dataset
from pose_project.inference.sources import Source
from pose_project.structures import COCO_PERSON
from pose_project.structures.boxes import box_iou
from pose_project.utils.cli import run_tool
from pose_project.utils.files import write_text_atomic
from pose_project.utils.json_files import read_json
from pose_project.utils.provenance import collect_provenance

CONFIG, LEVEL, PHOTOS = "configs/quick/synthetic.py", "demo", 400
SEEDS, NUM_ERRORS, SHOWN = range(10), 100, 150
SIGMAS = 3.0


def plant(
    content: dict[str, Any], seed: int, sigmas: float = SIGMAS
) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Return a dataset's content with errors, and (code, annotation) of whom they are.

    Args:
        content: in COCO's format, people of COCO's keypoints; not changed.
        seed: of what is planted where.
        sigmas: how far keypoints are shifted.
    """
    content = copy.deepcopy(content)
    rng = np.random.default_rng(seed)
    people = [each for each in content["annotations"] if not each["iscrowd"]]
    people = [each for each in people if each["num_keypoints"] >= 8]
    chosen = [people[place] for place in rng.permutation(len(people))[:NUM_ERRORS]]
    planted = []
    for number, person in enumerate(chosen):
        code = (SIDES, POINT, PERSON)[number % 3]
        points = np.reshape(person["keypoints"], (-1, 3)).astype(float)
        if code == SIDES:
            points = points[list(COCO_PERSON.hflip_indices)]
        elif code == POINT:
            row = int(rng.choice(np.flatnonzero(points[:, 2] > 0)))
            angle = rng.uniform(0, 2 * np.pi)
            sigma = 2 * COCO_PERSON.oks_sigmas[row] * np.sqrt(person["area"])
            points[row, :2] += sigmas * sigma * np.array([np.cos(angle), np.sin(angle)])
        person["keypoints"] = points.flatten().tolist()
        planted.append((code, person))
    forgotten = {person["id"] for code, person in planted if code == PERSON}
    content["annotations"] = [e for e in content["annotations"] if e["id"] not in forgotten]
    return content, planted


def count_found(
    suspects: Sequence[Suspect], planted: Sequence[tuple[str, dict[str, Any]]]
) -> dict[str, int]:
    """Return how many of each kind of planted errors are among the first that are shown.

    A person with exchanged sides or a shifted keypoint is found if a suspect names the person; a
    forgotten one if a missing person's box overlaps its own by half.
    """
    shown = sorted(suspects, key=lambda each: -each.score)[:SHOWN]
    named = {each.annotation_id for each in shown}
    found = dict.fromkeys((SIDES, POINT, PERSON), 0)
    for code, person in planted:
        if code != PERSON:
            found[code] += person["id"] in named
            continue
        x, y, width, height = person["bbox"]
        box = np.array([x, y, x + width, y + height])
        found[code] += any(
            each.code == PERSON
            and each.image_id == person["image_id"]
            and box_iou(box, each.person.box) >= 0.5
            for each in shown
        )
    return found


def main() -> None:
    """Look at the photos once, plant errors for each seed, and print and write what is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", required=True, help="of configs/quick/synthetic.py")
    parser.add_argument("--json", required=True, type=Path, help="record")
    arguments = parser.parse_args()
    root = ensure_synthetic_dataset(LEVEL, "val", PHOTOS)
    content = read_json(root / "annotations" / "person_keypoints_val2017.json")
    cfg = load_config(CONFIG, ["train.inference.test_time.subpixel=True"])
    predictor = load_predictor(cfg, arguments.weights, keep_heatmaps=True)
    errors = [plant(content, seed) for seed in SEEDS]
    labels = [defaultdict(list) for _ in SEEDS]
    for (wrong, _), of_image in zip(errors, labels, strict=True):
        for each in wrong["annotations"]:
            of_image[each["image_id"]].append(each)
    images = {str(each["id"]): each for each in content["images"]}
    sources = [Source(root / "val2017" / e["file_name"], name) for name, e in images.items()]
    suspects: list[list[Suspect]] = [[] for _ in SEEDS]
    for source, _, people in look_at_photos(predictor, sources):
        id_ = int(source.name)
        for own, of_image in zip(suspects, labels, strict=True):
            own += suspects_of(id_, of_image[id_], people, {1: 0}, predictor.schema)
    rows = []
    for seed, own, (_, planted) in zip(SEEDS, suspects, errors, strict=True):
        found = count_found(own, planted)
        rows.append({"seed": seed, **found, "all": sum(found.values())})
        print(json.dumps(rows[-1]), flush=True)
    settings = {"photos": f"{LEVEL}, val, {PHOTOS}", "planted": NUM_ERRORS, "shown": SHOWN}
    record = {**collect_provenance(), **settings, "sigmas": SIGMAS, "rows": rows}
    write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_tool(main, debug=True))
