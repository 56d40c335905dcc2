"""What each part of docs/refined.md gains in keypoint AP, alone and together, and what it costs.

Small models from scratch on synthetic photos; a run is one case with one seed, and leaves a record.
Runs whose record is there are not made again, and one that was stopped goes on where it was.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
from detectron2.config import instantiate
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks.accuracy import load_model
from configs.common import refined
from pose_project.data import get_schema
from pose_project.engine import load_config
from pose_project.engine.runs import train
from pose_project.evaluation import PoseEvaluator
from pose_project.modeling.acceleration import FastInference
from pose_project.modeling.keypoint_predictions import KeypointPredictions, decode_keypoints
from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance

_CONFIG = "configs/quick/synthetic.py"
_FEW_PHOTOS = "synthetic_demo_val_4"  # for the evaluation that ends a training
_REFINED = "configs/quick/synthetic_refined.py"

CASES: dict[str, tuple[Callable[..., None], ...]] = {
    "none": (),
    "learned score": (refined.learn_score,),
    "regions": (refined.enlarge_regions,),
    "masks": (refined.teach_with_masks,),
    "oks loss": (refined.add_oks_loss,),
    "context": (refined.add_global_context,),
    "likelihood": (refined.regress_by_likelihood,),
    "refined": (),  # its own config
}
RANKINGS = ("box", "expected", "learned")  # the last where a score was learned
"""By what people are ranked: the score of the box alone, or times the OKS that the softmax lets
expect (``train.inference.test_time.rescore``), or times the learned one."""


def make_config(case: str, seed: int, max_iter: int, photos: str, folder: Path) -> DictConfig:
    """Return the training config of a run. All but "none" learn a score; nothing flows back."""
    if case not in CASES:
        raise InputError(f"unknown case {case!r}; known: {', '.join(CASES)}")
    overrides = [
        f"train.seed={seed}",
        f"train.max_iter={max_iter}",
        f"train.output_dir={folder}",
        f"dataloader.test.dataset.names={photos}",
        "train.report=False",
        "train.device=cpu",
    ]
    cfg = load_config(_REFINED if case == "refined" else _CONFIG, overrides)
    for change in CASES[case]:
        takes_data = change is refined.teach_with_masks
        change(cfg.model, cfg.dataloader) if takes_data else change(cfg.model)
    if case != "none":
        refined.learn_score(cfg.model)
    return cfg


def run_case(case: str, seed: int, max_iter: int, photos: str, runs: Path) -> dict[str, Any]:
    """Return the record of a run, which is made unless it is there."""
    folder = runs / f"{case.replace(' ', '_')}-{max_iter}-{seed}"
    record_file = folder / "record.json"
    if record_file.is_file():
        return json.loads(record_file.read_text(encoding="utf-8"))
    cfg = make_config(case, seed, max_iter, photos, folder)
    start = time.perf_counter()
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
    runs: Path, cases: Iterable[str], max_iter: int, photos: str, rounds: int
) -> dict[str, dict[str, float]]:
    """Return parameters and time of each case as it is used; photos take turns with all of them.

    Returns:
        For each case ``parameters``, those of training left out; ``ms``: the median per photo; and
        ``ratio``: the median over photos of the time over that of the first case, which is the
        baseline without a learned score.
    """
    models = {}
    for case in cases:
        folder = runs / f"{case.replace(' ', '_')}-{max_iter}-0"
        cfg = make_config(case, 0, max_iter, photos, folder)
        cfg.train.init_checkpoint = str(folder / "model_final.pth")
        model = load_model(cfg, torch.device("cpu"))
        if case != "refined":
            model.roi_heads.keypoint_head.person_score = None
        models[case] = FastInference(model)
    seconds: dict[str, list[float]] = {case: [] for case in models}
    batches = list(instantiate(cfg.dataloader.test))[:rounds]
    for number, batch in enumerate(batches):
        for case, model in models.items():
            start = time.perf_counter()
            model(batch)
            if number >= 3:  # warm
                seconds[case].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {
        case: {
            "parameters": count_parameters(models[case]),
            "ms": 1e3 * median(times),
            "ratio": median(a / b for a, b in zip(times, first, strict=True)),
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
