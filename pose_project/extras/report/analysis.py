"""The whole analysis as one dict, which ``report.json`` holds and everything else is drawn from."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pose_project.data.annotation_files import give_schema
from pose_project.extras.report.arrays import Photos, Truth
from pose_project.extras.report.calibration import score_calibration
from pose_project.extras.report.diagnosis import Diagnosis, diagnose
from pose_project.extras.report.gains import score_gains
from pose_project.extras.report.gallery import people_and_oks, photo_records, worst_photos
from pose_project.extras.report.headline import (
    CONFIDENCE,
    ResampledTask,
    interval,
    resample,
    score_box_errors,
    score_headline,
)
from pose_project.extras.report.input_files import read_results, read_truth
from pose_project.extras.report.matching import match
from pose_project.extras.report.per_keypoint import score_keypoints
from pose_project.extras.report.precision import RECALLS, RankedMatches
from pose_project.extras.report.similarity import Pairing, pair_up
from pose_project.extras.report.slices import score_slices
from pose_project.extras.report.two_models import compare_headlines, moved_keypoints, moved_photos
from pose_project.utils.files import write_text_atomic
from pose_project.utils.provenance import collect_provenance, sha256_of

SCHEMA_VERSION = 1
RESAMPLES = 1000
_FEW_PHOTOS = 30
_CURVES = {"0.50": 0, "0.75": 5, "0.90": 8}


@dataclass(frozen=True)
class _Run:
    """One model's results against the ground truth."""

    headline: dict[str, dict[str, float]]
    box_errors: dict[str, Any] | None
    pairings: list[Pairing]
    diagnoses: list[Diagnosis]
    notes: list[str]

    def numbers(self, tasks: list[str]) -> np.ndarray:
        return np.array([value for task in tasks for value in self.headline[task].values()])

    def samples(self, tasks: list[str], num_photos: int, seed: int, title: str) -> np.ndarray:
        resampled = [ResampledTask(self.pairings, task, num_photos) for task in tasks]
        return resample(resampled, num_photos, seed, title, RESAMPLES)


def analyse(
    annotations: Path,
    results: Path,
    compared: Path | None = None,
    images: Path | None = None,
    seed: int = 0,
    schema: str | None = None,
) -> dict[str, Any]:
    """Return the report of a model's results, and of how another one's differ.

    Args:
        annotations: ground truth in COCO's format.
        results: in COCO's format, or in one that ``read_any_results`` knows.
        compared: results of another model on the same photos.
        images: the photos' folder, named in the report only.
        seed: of the photos that are drawn for the intervals.
        schema: of the ground truth's keypoints, see ``give_schema``; None takes them from it.

    Returns:
        see ``docs/analysis.md``; numbers are plain Python's, NaN where undefined.

    Raises:
        InputError: if one of the files cannot be used.
        OSError: if one of them cannot be read.
    """
    if schema is not None:
        give_schema(annotations, schema)
    with tqdm(total=10 if compared is None else 13, disable=None) as bar:
        _step(bar, "reading")
        truth = read_truth(annotations)
        run = _read_run(truth, results)
        other = None if compared is None else _read_run(truth, compared, bar)
        tasks = list(run.headline)
        _step(bar, "resampling photos", 2)
        samples = run.samples(tasks, len(truth.photos), seed, "resampling photos")
        _step(bar, "photos")
        pairings, diagnoses, photos = run.pairings, run.diagnoses, truth.photos
        records = photo_records(pairings, diagnoses, photos)
        report = {
            "schema_version": SCHEMA_VERSION,
            "provenance": collect_provenance(),
            "inputs": {
                "annotations": _file(annotations),
                "results": _file(results),
                "compared": None if compared is None else _file(compared),
                "images": None if images is None else str(images),
            },
            "settings": {"resamples": RESAMPLES, "confidence": CONFIDENCE, "seed": seed},
            "counts": _counts(truth, run),
            "notes": truth.notes + run.notes + _few_photos(truth.photos),
            "headline": _with_intervals(run, tasks, samples),
            "box_errors": run.box_errors,
            "categories": [
                _category(*each, photos, bar) for each in zip(pairings, diagnoses, strict=True)
            ],
            "photos": records,
            "gallery": worst_photos(pairings, diagnoses, photos, records),
            "comparison": None,
        }
        if other is not None:
            _step(bar, "comparing", 2)
            report["comparison"] = _compare(run, other, samples, tasks, photos, seed, report)
        _step(bar, "writing")
    return report


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report; numbers that are not finite become null."""
    write_text_atomic(path, json.dumps(_finite(report), allow_nan=False))


def _read_run(truth: Truth, path: Path, bar: tqdm | None = None) -> _Run:
    if bar is not None:
        _step(bar, f"reading {path.name}")
    results = read_results(path, truth)
    headline = score_headline(truth, results)
    pairings = [pair_up(*each) for each in zip(truth.categories, results.predictions, strict=True)]
    diagnoses = [diagnose(pairing) for pairing in pairings]
    return _Run(headline, score_box_errors(truth, results), pairings, diagnoses, results.notes)


def _category(pairing: Pairing, diagnosis: Diagnosis, photos: Photos, bar: tqdm) -> dict[str, Any]:
    schema = pairing.category.schema
    people, predictions = pairing.category.people, pairing.predictions
    _step(bar, "keypoints")
    keypoints = score_keypoints(pairing, diagnosis, len(photos))
    _step(bar, "slices")
    slices = score_slices(pairing, photos)
    _step(bar, "what errors cost")
    matches = match(predictions, people, pairing.pairs, pairing.oks, people.ignored)
    ranked = RankedMatches(matches, predictions, people, len(photos))
    precision = ranked.precision()
    return {
        "id": pairing.category.id,
        "name": pairing.category.name,
        "keypoint_names": list(schema.names),
        "skeleton": [list(line) for line in schema.skeleton_indices],
        "sides": [schema.side(name) for name in schema.names],
        "oks_sigmas": list(schema.oks_sigmas),
        "sigmas_estimated": schema.sigmas_estimated,
        "summary": ranked.summary(),
        "keypoints": keypoints,
        "slices": slices,
        "diagnosis": score_gains(pairing, diagnosis, len(photos)),
        "calibration": score_calibration(pairing, diagnosis),
        "precision_recall": {
            "recalls": RECALLS.tolist(),
            "percent": {name: (100 * precision[row]).tolist() for name, row in _CURVES.items()}
            | {"0.50:0.95": (100 * precision.mean(axis=0)).tolist()},
        },
    }


def _compare(
    run: _Run,
    other: _Run,
    samples: np.ndarray,
    tasks: list[str],
    photos: Photos,
    seed: int,
    report: dict[str, Any],
) -> dict[str, Any]:
    common = [task for task in tasks if task in other.headline]
    keys = [(task, metric) for task in tasks for metric in run.headline[task]]
    columns = [place for place, (task, _) in enumerate(keys) if task in common]
    other_samples = other.samples(common, len(photos), seed, "the other on the same photos")
    num_people, oks = people_and_oks(run.pairings, run.diagnoses, len(photos))
    _, other_oks = people_and_oks(other.pairings, other.diagnoses, len(photos))
    return {
        "notes": other.notes,
        "headline": compare_headlines(
            [keys[place] for place in columns],
            (run.numbers(common), other.numbers(common)),
            (samples[:, columns], other_samples),
        ),
        "photos": moved_photos(photos, num_people, (oks, other_oks)),
        "keypoints": [
            moved_keypoints(
                category["keypoints"]["rows"],
                score_keypoints(pairing, diagnosis, len(photos))["rows"],
            )
            for category, pairing, diagnosis in zip(
                report["categories"], other.pairings, other.diagnoses, strict=True
            )
        ],
    }


def _few_photos(photos: Photos) -> list[str]:
    if len(photos) >= _FEW_PHOTOS:
        return []
    return [f"Only {len(photos)} photos: the intervals say little."]


def _with_intervals(run: _Run, tasks: list[str], samples: np.ndarray) -> dict[str, Any]:
    low, high = interval(samples)
    bounds = iter(zip(low.tolist(), high.tolist(), strict=True))
    return {
        task: {
            metric: dict(zip(("value", "low", "high"), (value, *next(bounds)), strict=True))
            for metric, value in run.headline[task].items()
        }
        for task in tasks
    }


def _counts(truth: Truth, run: _Run) -> dict[str, int]:
    people = [category.people for category in truth.categories]
    return {
        "photos": len(truth.photos),
        "people": sum(len(each.ids) for each in people),
        "people_to_be_found": sum(int((~each.ignored).sum()) for each in people),
        "predictions": sum(len(each.predictions) for each in run.pairings),
    }


def _file(path: Path) -> dict[str, str]:
    """Return a file's path and digest; of a folder with a file an image, that of their digests."""
    if not path.is_dir():
        return {"path": str(path), "sha256": sha256_of(path)}
    digests = "".join(f"{sha256_of(file)}  {file.name}\n" for file in sorted(path.glob("*.json")))
    return {"path": str(path), "sha256": hashlib.sha256(digests.encode()).hexdigest()}


def _step(bar: tqdm, title: str, count: int = 1) -> None:
    bar.set_description(title)
    bar.update(count)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
