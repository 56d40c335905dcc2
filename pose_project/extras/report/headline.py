"""COCO's 10 and 12 numbers, and how far they would be off with other photos."""

import contextlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hotcoco
import numpy as np
from tqdm import tqdm

from pose_project.evaluation import METRICS
from pose_project.evaluation.scoring import Scorer
from pose_project.evaluation.tables import Metric, stats_to_metrics
from pose_project.extras.report.arrays import Results, Truth
from pose_project.extras.report.matching import match
from pose_project.extras.report.precision import RankedMatches
from pose_project.extras.report.similarity import Pairing, box_iou

AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""COCO's ranges of the area of a person's mask, in square pixels, both ends included."""
CONFIDENCE = 0.95


def score_headline(truth: Truth, results: Results) -> dict[str, dict[str, float]]:
    """Return {task: {metric: percent}} by hotcoco; a mean over the categories, each by its sigmas.

    Boxes are scored where results have boxes.
    """
    scores = {}
    scorer = Scorer(truth.coco, results.coco, "hotcoco")
    if results.has_boxes:
        scores["bbox"] = stats_to_metrics("bbox", scorer.score("bbox"))
    rows = []
    for category in truth.categories:
        own = [each for each in results.coco if each["category_id"] == category.id]
        scorer = scorer if len(truth.categories) == 1 else Scorer(truth.coco, own, "hotcoco")
        sigmas = list(category.schema.oks_sigmas)
        stats = scorer.score("keypoints", sigmas, cat_ids=[category.id])
        rows.append(stats_to_metrics("keypoints", stats))
    values = mean_where_defined(np.array([list(row.values()) for row in rows]))
    scores["keypoints"] = dict(zip(rows[0], values.tolist(), strict=True))
    return scores


def score_box_errors(truth: Truth, results: Results) -> dict[str, Any] | None:
    """Return TIDE's errors of boxes (Bolya et al., ECCV 2020) by hotcoco; None without boxes.

    Returns:
        ``AP50``, ``gain`` {type: points of AP50 that its correction alone would bring}, in percent,
        and ``counts``. ``Loc``: IoU 0.1 to 0.5; ``Bkg``: less; ``Dupe``: somebody found already;
        ``Cls``: the wrong category; ``Both``: that and ``Loc``; ``Miss``: nobody near;
        ``FP`` and ``FN``: all of either sort.
    """
    if not results.has_boxes:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        coco = hotcoco.COCO(truth.coco)
        evaluation = hotcoco.COCOeval(coco, coco.loadRes(results.coco), "bbox")
        evaluation.evaluate()
        errors = evaluation.tide_errors()
    return {
        "AP50": 100 * errors["ap_base"],
        "gain": {name: 100 * gain for name, gain in errors["delta_ap"].items()},
        "counts": errors["counts"],
    }


class ResampledTask:
    """One task's numbers as a function of how often each photo counts.

    Args:
        pairings: of each category.
        task: ``keypoints`` or ``bbox``.
        num_photos: P.
    """

    def __init__(self, pairings: list[Pairing], task: str, num_photos: int) -> None:
        self.metrics = METRICS[task]
        self._categories = []
        for pairing in pairings:
            predictions, people, pairs = (
                pairing.predictions,
                pairing.category.people,
                pairing.pairs,
            )
            similarity, ignored = pairing.oks, people.ignored
            if task == "bbox":
                similarity, ignored = box_iou(predictions, people, pairs), people.is_crowd
            variants = {}
            for area, count in {(each.area, each.max_detections) for each in self.metrics}:
                found = match(predictions, people, pairs, similarity, ignored, count, AREAS[area])
                variants[area, count] = RankedMatches(found, predictions, people, num_photos)
            self._categories.append(variants)

    def numbers(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the task's numbers in percent, in the order of ``METRICS``.

        Args:
            weights: (P,) how often each photo counts; once by default.
        """
        rows = [self._row(variants, weights) for variants in self._categories]
        return mean_where_defined(np.array(rows))

    def _row(
        self, variants: dict[tuple[str, int], RankedMatches], weights: np.ndarray | None
    ) -> list[float]:
        values: dict[tuple[str, str, int], np.ndarray] = {}
        for metric in self.metrics:
            key = (metric.key[:2], metric.area, metric.max_detections)
            if key not in values:
                ranked = variants[key[1:]]
                score = ranked.average_precision if key[0] == "AP" else ranked.recall
                values[key] = score(weights)
        return [
            _at_threshold(metric, values[metric.key[:2], metric.area, metric.max_detections])
            for metric in self.metrics
        ]


def resample(
    tasks: list[ResampledTask], num_photos: int, seed: int, title: str, resamples: int
) -> np.ndarray:
    """Return the tasks' numbers for photos drawn anew, with replacement.

    Two runs that are resampled with the same seed are scored on the same photos: their differences
    are paired. (``hotcoco.compare`` gives such differences, but no interval of one run's numbers.)

    Args:
        tasks: whose numbers stand one after the other.
        num_photos: P.
        seed: of the drawings.
        title: of the progress bar.
        resamples: how many drawings.

    Returns:
        (resamples, numbers) in percent, NaN where undefined.
    """

    def draw(number: int) -> np.ndarray:
        photos = np.random.default_rng([seed, number]).integers(0, num_photos, num_photos)
        weights = np.bincount(photos, minlength=num_photos).astype(np.float64)
        return np.concatenate([task.numbers(weights) for task in tasks])

    with ThreadPoolExecutor(2) as pool:  # NumPy's loops leave the interpreter to the other one
        rows = pool.map(draw, range(resamples))
        return np.array(list(tqdm(rows, title, resamples, disable=None, leave=False)))


def interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of each column, at ``CONFIDENCE``; NaN if it is undefined."""
    tail = 50 * (1 - CONFIDENCE)
    undefined = np.isnan(samples).all(axis=0)
    filled = np.where(undefined, 0.0, samples)
    low, high = np.nanpercentile(filled, [tail, 100 - tail], axis=0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def mean_where_defined(rows: np.ndarray) -> np.ndarray:
    """Return the mean over rows, each column's NaN left out; NaN where there is nothing else."""
    defined = ~np.isnan(rows)
    total = np.where(defined, rows, 0.0).sum(axis=0)
    count = defined.sum(axis=0)
    return np.divide(total, count, out=np.full(rows.shape[1:], np.nan), where=count > 0)


def _at_threshold(metric: Metric, values: np.ndarray) -> float:
    places = {"0.50": slice(0, 1), "0.75": slice(5, 6)}
    return values[places.get(metric.iou, slice(None))].mean()
