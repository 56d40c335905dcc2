"""What each part of docs/refined.md gains in keypoint AP, alone and together, and what it costs.

    python -m benchmarks.refined --runs output/refined CASE:ITERATIONS:SEED ...
    python -m benchmarks.refined --runs output/refined --times 660 --json docs/refined.json \
        --plot docs/images/refined.png --curves docs/images/refined_curves.png

Small models from scratch on synthetic photos; a run is one case with one seed, and leaves a record.
Runs whose record is there are not made again, and one that was stopped goes on where it was. The
second command sums up all records, and times the models of a length in turn, photo by photo.

Cases; all but "none" learn a score beside:

    none                     configs/quick/synthetic.py as it is
    learned score, regions, masks, context, likelihood
    oks loss                 configs/quick/synthetic_refined.py
    oks loss and regions
    all together             the switches of configs/keypoint_rcnn_R50_FPN_refined_3x.py
    levels                   keypoints pooled from the levels that they would have on COCO
    fine-tuned heatmaps      from the weights of "none" with the same seed after 660 iterations
    fine-tuned likelihood    likewise
    tight boxes              boxes in training that leave as many keypoints outside as COCO's do
    tight boxes and regions
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
from detectron2.config import instantiate
from detectron2.utils.logger import setup_logger
from omegaconf import DictConfig
from tabulate import tabulate
from torch import Tensor, nn

from benchmarks.accuracy import load_model
from benchmarks.refined_cases import CASES, TRAINED_FOR, is_fine_tuned, make_config
from pose_project.data import get_schema
from pose_project.engine.runs import train
from pose_project.evaluation import PoseEvaluator
from pose_project.modeling.acceleration import FastInference
from pose_project.modeling.keypoint_predictions import KeypointPredictions, decode_keypoints
from pose_project.utils.cli import EXIT_OK, run_tool
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance, device_name

_WARM_UPS = 5
_PHOTOS = "synthetic_demo_val_400"
_FEW_PHOTOS = "synthetic_demo_val_4"  # for the evaluation that ends a training


RANKINGS = ("box", "expected", "learned")  # the last where a score was learned
"""By what people are ranked: the score of the box alone, or times the OKS that the softmax lets
expect (``train.inference.test_time.rescore``), or times the learned one."""


def run_folder(runs: Path, case: str, max_iter: int, seed: int) -> Path:
    """Return the folder of a run."""
    return runs / f"{case.replace(' ', '_')}-{max_iter}-{seed}"


def run_case(case: str, seed: int, max_iter: int, photos: str, runs: Path) -> dict[str, Any]:
    """Return the record of a run, which is made unless it is there."""
    folder = run_folder(runs, case, max_iter, seed)
    record_file = folder / "record.json"
    if record_file.is_file():
        return json.loads(record_file.read_text(encoding="utf-8"))
    cfg = make_config(case, seed, max_iter, photos, folder)
    start = time.perf_counter()
    if is_fine_tuned(case):
        weights = run_folder(runs, "none", TRAINED_FOR, seed) / "model_final.pth"
        cfg.train.init_checkpoint = str(weights)
    cfg.dataloader.test.dataset.names = _FEW_PHOTOS
    train(cfg, resume=folder.is_dir())
    cfg.dataloader.test.dataset.names = photos
    cfg.train.init_checkpoint = str(folder / "model_final.pth")
    record = {
        "case": case,
        "seed": seed,
        "max_iter": max_iter,
        "photos": photos,
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "results": evaluate_rankings(cfg),
        **collect_provenance(),
    }
    write_text_atomic(record_file, json.dumps(record, indent=2) + "\n")
    return record


@torch.no_grad()
def evaluate_rankings(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Return keypoint AP and AR, and box AP, by each of :data:`RANKINGS`; one look at a photo."""
    name = cfg.dataloader.test.dataset.names
    model = load_model(cfg, torch.device("cpu"))
    head = model.roi_heads.keypoint_head
    head.decoder = _WithBothScores(head, get_schema(name).oks_sigmas)
    rankings = RANKINGS if head.person_score is not None else RANKINGS[:2]
    head.person_score = None
    fast = FastInference(model)
    evaluators = {ranking: PoseEvaluator(name) for ranking in rankings}
    for evaluator in evaluators.values():
        evaluator.reset()
    for batch in instantiate(cfg.dataloader.test):
        outputs = fast(batch)
        for ranking, evaluator in evaluators.items():
            evaluator.process(batch, [_ranked(each["instances"], ranking) for each in outputs])
    results = {ranking: evaluator.evaluate() for ranking, evaluator in evaluators.items()}
    return {
        ranking: {
            "keypoints/AP": each["keypoints"]["AP"],
            "keypoints/AR": each["keypoints"]["AR"],
            "bbox/AP": each["bbox"]["AP"],
        }
        for ranking, each in results.items()
    }


class _WithBothScores:
    """A decoder that also says both kinds of OKS that are expected."""

    def __init__(self, head: KeypointPredictions, oks_sigmas: Sequence[float]) -> None:
        self.learned, self.sigmas = head.person_score, torch.tensor(oks_sigmas)

    def __call__(
        self, head: KeypointPredictions, outputs: Tensor, regions: Tensor
    ) -> dict[str, Tensor]:
        fields = decode_keypoints(head, outputs, regions)
        distribution, areas = head.distribution(outputs, regions), head.areas_in(regions)
        points = fields["pred_keypoints"][..., :2]
        expected = distribution.expected_similarity(points, self.sigmas, areas).mean(dim=1)
        fields = {**fields, "expected": expected}
        if self.learned is not None:
            fields["learned"] = self.learned(distribution, areas).sigmoid()
        return fields


def _ranked(instances: Any, ranking: str) -> dict[str, Any]:
    again = instances[:]
    if ranking != "box":
        again.scores = again.scores * again.get(ranking)
    return {"instances": again}


@torch.no_grad()
def measure_times(
    runs: Path, records: Iterable[dict[str, Any]], max_iter: int, photos: str
) -> dict[str, dict[str, Any]]:
    """Return parameters and time of each case as it is used; photos take turns with all of them.

    A case takes part if a run of this length has left a model: that of the first seed.

    Returns:
        For each case ``seed``; ``parameters``, those of training left out; ``ms``: the median per
        photo; ``ratio``: that over the first case's; ``ratio_by_photo``: the median of the photos'
        ratios.

    Raises:
        InputError: there is no model of this length.
    """
    seeds, models = {}, {}
    of_length = [each for each in records if each["max_iter"] == max_iter]
    for record in sorted(
        of_length, key=lambda each: (list(CASES).index(each["case"]), each["seed"])
    ):
        case, seed = record["case"], record["seed"]
        weights = run_folder(runs, case, max_iter, seed) / "model_final.pth"
        if case not in models and weights.is_file():
            cfg = make_config(case, seed, max_iter, photos, weights.parent)
            cfg.train.init_checkpoint = str(weights)
            seeds[case], models[case] = seed, FastInference(load_model(cfg, torch.device("cpu")))
    if not models:
        raise InputError(f"no model of {max_iter} iterations in {runs}")
    seconds: dict[str, list[float]] = {case: [] for case in models}
    for number, batch in enumerate(instantiate(cfg.dataloader.test)):
        order = list(models) if number % 2 else list(reversed(models))
        for case in order:
            start = time.perf_counter()
            models[case](batch)
            if number >= _WARM_UPS:
                seconds[case].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {
        case: {
            "seed": seeds[case],
            "parameters": count_parameters(models[case]),
            "ms": 1e3 * median(times),
            "ratio": median(times) / median(first),
            "ratio_by_photo": median(a / b for a, b in zip(times, first, strict=True)),
        }
        for case, times in seconds.items()
    }


def count_parameters(model: nn.Module) -> int:
    """Return how many parameters a model has in use: without masks that only teach, and flows."""
    unused = ("mask_head.", ".flow.")
    return sum(
        value.numel()
        for name, value in model.named_parameters()
        if not any(part in name for part in unused)
    )


def summarise(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each case and length: seeds, and mean and spread of AP by each ranking."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["case"], record["max_iter"]), []).append(record)
    rows = []
    for (case, max_iter), group in groups.items():
        row = {"case": case, "max_iter": max_iter, "seeds": sorted(e["seed"] for e in group)}
        for ranking in RANKINGS:
            found = [each["results"].get(ranking) for each in group]
            values = [each["keypoints/AP"] for each in found if each]
            if values:
                spread = stdev(values) if values[1:] else None
                row[ranking] = {"mean": mean(values), "spread": spread}
        row["bbox"] = mean(each["results"]["box"]["bbox/AP"] for each in group)
        rows.append(row)
    return rows


def sum_up(arguments: argparse.Namespace) -> None:
    """Print and write what the records say."""
    files = sorted(arguments.runs.glob("*/record.json"))
    records = [json.loads(each.read_text(encoding="utf-8")) for each in files]
    if not records:
        raise InputError(f"no record of a run in {arguments.runs}")
    rows = summarise(records)
    table = [
        (
            row["case"],
            row["max_iter"],
            len(row["seeds"]),
            *map(_with_spread, map(row.get, RANKINGS)),
        )
        for row in rows
    ]
    head = ("case", "iterations", "seeds", *(f"ranked by: {each}" for each in RANKINGS))
    print(tabulate(table, head, tablefmt="github"))
    result = {"task": "refined", "device": device_name(torch.device("cpu")), "rows": rows}
    for max_iter in arguments.times:
        times = measure_times(arguments.runs, records, max_iter, _PHOTOS)
        keys = ("parameters", "ms", "ratio")
        lines = [(case, *map(measured.get, keys)) for case, measured in times.items()]
        print(tabulate(lines, (f"{max_iter} iterations", *keys), "github", floatfmt=".2f"))
        result[f"times_{max_iter}"] = times
    if arguments.json:
        result = {**result, "runs": records, **collect_provenance()}
        write_text_atomic(arguments.json, json.dumps(result, indent=2) + "\n")
    if arguments.plot or arguments.curves:
        from benchmarks import refined_plots as plots  # matplotlib is slow
    if arguments.plot:
        plots.plot(records, list(CASES), arguments.plot)
    if arguments.curves:
        longest = max(each["max_iter"] for each in records)
        logged = {
            run_folder(arguments.runs, each["case"], each["max_iter"], each["seed"]): each
            for each in records
            if each["max_iter"] == longest
        }
        plots.plot_curves(logged, arguments.curves)


def _with_spread(ranking: dict[str, float | None] | None) -> str:
    if ranking is None:
        return ""
    spread = ranking["spread"]
    return f"{ranking['mean']:.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def main(argv: list[str] | None = None) -> int:
    """Make the runs that are asked for, or sum up; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="*", metavar="CASE:ITERATIONS:SEED", help="to be made")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument(
        "--times",
        type=int,
        nargs="+",
        default=(),
        metavar="ITERATIONS",
        help="also time the models of these lengths",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the result here")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="also draw all runs")
    parser.add_argument(
        "--curves", type=Path, metavar="OUT.png", help="also draw the loss of the longest runs"
    )
    arguments = parser.parse_args(argv)
    setup_logger(name="pose_project")

    def run() -> int:
        for name in arguments.run:
            case, _, numbers = name.partition(":")
            try:
                max_iter, seed = map(int, numbers.split(":"))
            except ValueError as error:
                raise InputError(f"{name} is not CASE:ITERATIONS:SEED") from error
            run_case(case, seed, max_iter, _PHOTOS, arguments.runs)
        if not arguments.run:
            sum_up(arguments)
        return EXIT_OK

    return run_tool(run, debug=False)


if __name__ == "__main__":
    sys.exit(main())
