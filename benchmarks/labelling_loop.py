"""Whether it pays to choose what is labelled: rounds of ranked photos against random ones.

    python -m benchmarks.labelling_loop --weights output/demo/model_final.pth \
        --work output/loop --json docs/benchmarks/labelling_loop.json

A model that knows synthetic photos of the level "demo" meets a pool with photos of the level "full"
and, with --known, of the level that it knows; all labels are hidden. In each round 40 photos get
their labels: at random, or the first 40 as ``rank`` orders 120 that are drawn at random from what
is not labelled. The model of the round before is trained on all that is labelled so far, equally
long in both arms, and scored on other photos of the level "full".

Stopped and started again with the same --work, it goes on where it was.
"""

import argparse
import json
import logging
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose_project.config.loading import load_config
from pose_project.engine.runs import evaluate, train
from pose_project.extras.labelling.people import match_boxes
from pose_project.extras.labelling.ranking import choose, lesson_of
from pose_project.extras.labelling.views import Candidate, look_at
from pose_project.extras.synthetic.generation import ensure_synthetic_dataset
from pose_project.inference import PosePredictor
from pose_project.structures import COCO_PERSON
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.cli import run_tool
from pose_project.utils.files import write_text_atomic
from pose_project.utils.json_files import read_json
from pose_project.utils.provenance import collect_provenance

CONFIG = "configs/quick/synthetic.py"
ROUNDS, PER_ROUND = 5, 40
LOOKED_AT = 120  # photos without labels that are ranked in a round
ARMS = {"random": "#0072B2", "ranked": "#D55E00"}
TRAINING = (
    "optimizer.lr=5e-4",
    "lr_multiplier.warmup_iters=10",
    "train.report=False",
    "train.visualizations=0",
    "train.checkpointer.period=0",
    "train.inference.dtype=bf16",
)
SECONDS_TO_PLACE, SECONDS_TO_CHECK = 3.0, 0.5  # of a keypoint; assumed


@dataclass(frozen=True)
class Setting:
    """What is in the pool, and how long is trained.

    Attributes:
        new: photos of the level "full" in the pool.
        known: photos of the level "demo", none of those that the model was trained on.
        val_photos: of the level "full", to score on.
        iterations: of training in a round.
        seeds: of the runs.
    """

    new: int
    known: int
    val_photos: int
    iterations: int
    seeds: tuple[int, ...]

    @property
    def val(self) -> str:
        """The name of the dataset to score on."""
        return f"synthetic_full_val_{self.val_photos}"


class Pool:
    """Photos, and what is hidden of them.

    Args:
        setting: how many photos of which level.
    """

    def __init__(self, setting: Setting) -> None:
        self.images: list[dict[str, Any]] = []
        self.people: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for level, split, count in (
            ("full", "train", setting.new),
            ("demo", "val", setting.known),
        ):
            if count:
                self._add(ensure_synthetic_dataset(level, split, count), split)

    def _add(self, root: Path, split: str) -> None:
        self.content = read_json(root / "annotations" / f"person_keypoints_{split}2017.json")
        for each in self.content["images"]:
            path = root / f"{split}2017" / each["file_name"]
            self.images.append({**each, "file_name": str(path)})
        for each in self.content["annotations"]:
            self.people[each["image_id"]].append(each)

    def write(self, chosen: Sequence[int], path: Path) -> dict[str, int]:
        """Write the annotations of the chosen photos, and return how much a person labelled."""
        images = [self.images[place] for place in chosen]
        labels = [each for image in images for each in self.people[image["id"]]]
        content = {**self.content, "images": images, "annotations": labels}
        write_text_atomic(path, json.dumps(content))
        people = [each for each in labels if not each["iscrowd"]]
        return {
            "photos": len(images),
            "new": sum("_full_" in each["file_name"] for each in images),
            "people": len(people),
            "points": sum(each["num_keypoints"] for each in people),
        }

    def look(self, predictor: PosePredictor, places: Sequence[int]) -> list[list[Candidate]]:
        """Return whom a model sees in some of the photos."""
        seen: list[list[Candidate]] = []
        for start in range(0, len(places), 8):
            names = [self.images[place]["file_name"] for place in places[start : start + 8]]
            seen += look_at(predictor, [cv2.imread(name) for name in names])
        return seen


def points_that_stay(people: Sequence[Candidate], labels: Sequence[dict[str, Any]]) -> int:
    """Return how many labelled keypoints a pre-annotation has within one sigma of the label."""
    labels = [each for each in labels if not each["iscrowd"]]
    drawn = [each for each in people if each.presence >= 0.5]
    corners = np.reshape([each["bbox"] for each in labels], (-1, 4)).astype(float)
    corners[:, 2:] += corners[:, :2]
    boxes = np.reshape([each.box for each in drawn], (-1, 4))
    stay = 0
    for own, other in match_boxes(corners, boxes):
        truth = np.reshape(labels[own]["keypoints"], (-1, 3)).astype(float)
        away = np.linalg.norm(truth[:, :2] + PIXEL_CENTRE - drawn[other].keypoints[:, :2], axis=1)
        area = labels[own]["area"]
        within = away <= 2 * np.array(COCO_PERSON.oks_sigmas) * np.sqrt(area)
        stay += int((within & (truth[:, 2] > 0)).sum())
    return stay


def run_arm(arm: str, seed: int, base: str, work: Path, setting: Setting) -> list[dict[str, Any]]:
    """Return a row a round; what is in ``work`` is not done again."""
    pool = Pool(setting)
    order = np.random.default_rng(seed).permutation(len(pool.images)).tolist()
    chosen: list[int] = []
    rows: list[dict[str, Any]] = []
    weights = base
    for round_ in range(1, ROUNDS + 1):
        folder = work / f"{arm}_{seed}_{round_}"
        done = folder / "row.json"
        if done.exists():
            row = read_json(done)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            row = {"arm": arm, "seed": seed, "round": round_}
            if arm == "random":
                row["chosen"] = [*chosen, *order[len(chosen) :][:PER_ROUND]]
            else:
                row |= _choose_ranked(pool, chosen, weights, [seed, round_])
            folder.mkdir(parents=True)
            row |= pool.write(row["chosen"], folder / "labels.json")
            results = train(_config(folder, weights, 1000 * seed + round_, setting), resume=False)
            row |= {"AP": results["keypoints"]["AP"], "box_AP": results["bbox"]["AP"]}
            write_text_atomic(done, json.dumps(row))
        chosen, weights = row["chosen"], str(folder / "run" / "model_final.pth")
        rows.append({key: value for key, value in row.items() if key != "chosen"})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _choose_ranked(pool: Pool, chosen: list[int], weights: str, seed: list[int]) -> dict[str, Any]:
    test_time = ["train.inference.test_time.temperature=1.0", "train.inference.dtype=bf16"]
    predictor = PosePredictor.from_files(CONFIG, weights, test_time)
    left = np.setdiff1d(np.arange(len(pool.images)), chosen)
    drawn = np.random.default_rng(seed).choice(left, LOOKED_AT, replace=False).tolist()
    seen = pool.look(predictor, drawn)
    first = choose([lesson_of(people, predictor.schema) for people in seen], PER_ROUND)
    new = {drawn[place]: seen[place] for place, _ in first}
    stay = sum(
        points_that_stay(people, pool.people[pool.images[place]["id"]])
        for place, people in new.items()
    )
    return {"chosen": [*chosen, *new], "points_that_stay": stay}


def _config(folder: Path, weights: str, seed: int, setting: Setting) -> Any:
    overrides = [
        *TRAINING,
        f"train.output_dir={folder / 'run'}",
        f"train.init_checkpoint={weights}",
        f"train.seed={seed}",
        f"train.max_iter={setting.iterations}",
        f"dataloader.train.dataset.names='{folder / 'labels.json'}@/'",
        f"dataloader.test.dataset.names={setting.val}",
    ]
    return load_config(CONFIG, overrides)


def score_base(base: str, work: Path, setting: Setting) -> float:
    """Return the AP of the model before anything of the pool is labelled."""
    done = work / "base.json"
    if not done.exists():
        cfg = load_config(
            CONFIG,
            [
                f"train.output_dir={work / 'base'}",
                f"train.init_checkpoint={base}",
                f"dataloader.test.dataset.names={setting.val}",
                "train.inference.dtype=bf16",
            ],
        )
        write_text_atomic(done, json.dumps(evaluate(cfg)["keypoints"]["AP"]))
    return read_json(done)


def summarise(rows: Sequence[dict[str, Any]], base_ap: float) -> dict[str, Any]:
    """Return the mean curves, and how many labels ranking needs for what random photos reach."""
    curves = {}
    for arm in ARMS:
        own = [each for each in rows if each["arm"] == arm]
        by_round = [[each for each in own if each["round"] == r + 1] for r in range(ROUNDS)]
        by_round = [each for each in by_round if each]
        curves[arm] = {
            key: [0.0, *(float(np.mean([each[key] for each in group])) for group in by_round)]
            for key in ("photos", "people", "points")
        } | {
            "AP": [base_ap, *(float(np.mean([e["AP"] for e in group])) for group in by_round)],
            "AP_std": [0.0, *(float(np.std([e["AP"] for e in group])) for group in by_round)],
        }
    reached = {
        unit: _labels_for(curves["random"]["AP"][-1], curves["ranked"], unit)
        for unit in ("photos", "people", "points")
    }
    fewer = {
        unit: None if need is None else 1 - need / curves["random"][unit][-1]
        for unit, need in reached.items()
    }
    own = [each for each in rows if each["arm"] == "ranked" and "points_that_stay" in each]
    previous = {(each["seed"], each["round"] + 1): each["points"] for each in own}
    new = [each["points"] - previous.get((each["seed"], each["round"]), 0) for each in own]
    stay = [each["points_that_stay"] for each in own]
    saved = sum(stay) * (SECONDS_TO_PLACE - SECONDS_TO_CHECK) / 60
    return {
        "base_AP": base_ap,
        "curves": curves,
        "random_AP_at_the_end": curves["random"]["AP"][-1],
        "ranked_needs": reached,
        "fewer_labels": fewer,
        "pre_annotation": {
            "points": sum(new),
            "points_that_stay": sum(stay),
            "minutes_saved": saved,
            "minutes_without": sum(new) * SECONDS_TO_PLACE / 60,
            "seconds_assumed": {"to place": SECONDS_TO_PLACE, "to check": SECONDS_TO_CHECK},
        },
    }


def _labels_for(ap: float, curve: dict[str, list[float]], unit: str) -> float | None:
    """Return where a curve first reaches an AP, between its points; None if it never does."""
    for place in range(1, len(curve["AP"])):
        low, high = curve["AP"][place - 1 : place + 1]
        if high >= ap:
            first, last = curve[unit][place - 1 : place + 1]
            share = 0.0 if high <= low else max(0.0, (ap - low) / (high - low))
            return first + share * (last - first)
    return None


def draw(summary: dict[str, Any], path: Path) -> None:
    """Draw AP against labelled photos and against labelled keypoints, mean and range of seeds."""
    figure = Figure(figsize=(9, 3.8), dpi=110)
    FigureCanvasAgg(figure)
    for axes, unit in zip(figure.subplots(1, 2), ("photos", "points"), strict=True):
        for arm, colour in ARMS.items():
            curve = summary["curves"][arm]
            ap, std = np.array(curve["AP"]), np.array(curve["AP_std"])
            axes.plot(curve[unit], ap, "o-", color=colour, label=arm)
            axes.fill_between(curve[unit], ap - std, ap + std, color=colour, alpha=0.15, lw=0)
        axes.set_xlabel({"photos": "labelled photos", "points": "labelled keypoints"}[unit])
        axes.set_ylabel("keypoint AP")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Run what is missing, print the rows, and write record and plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", required=True, help="of configs/quick/synthetic.py")
    parser.add_argument("--work", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--json", required=True, type=Path, help="record; the plot lies beside it")
    parser.add_argument("--new", type=int, default=200, help="photos of the new level (200)")
    parser.add_argument("--known", type=int, default=400, help="of the level it knows (400)")
    parser.add_argument("--val-photos", type=int, default=100, help="to score on (100)")
    parser.add_argument("--iterations", type=int, default=25, help="of a round (25)")
    parser.add_argument("--seeds", type=int, default=3, help="how many (3)")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    setting = Setting(
        arguments.new,
        arguments.known,
        arguments.val_photos,
        arguments.iterations,
        tuple(range(arguments.seeds)),
    )
    base_ap = score_base(arguments.weights, arguments.work, setting)
    print(f"before: AP {base_ap:.2f}", flush=True)
    rows = []
    for seed in setting.seeds:
        for arm in ARMS:
            rows += run_arm(arm, seed, arguments.weights, arguments.work, setting)
        summary = summarise(rows, base_ap)
        settings = {
            **asdict(setting),
            "seeds": [each for each in setting.seeds if each <= seed],
            "looked_at_per_round": LOOKED_AT,
            "per_round": PER_ROUND,
            "training": TRAINING,
        }
        record = {**collect_provenance(), "settings": settings, **summary, "rows": rows}
        write_text_atomic(arguments.json, json.dumps(record, indent=2) + "\n")
        draw(summary, arguments.json.with_suffix(".png"))
    print(json.dumps(summary["fewer_labels"]), json.dumps(summary["pre_annotation"]))


if __name__ == "__main__":
    sys.exit(run_tool(main, debug=True))
