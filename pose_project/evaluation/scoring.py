"""COCO's numbers by one of two libraries: hotcoco, fast, or pycocotools, the reference."""

import contextlib
import copy
import io
import warnings
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_project.data.annotation_files import load_annotations
from pose_project.utils.errors import InputError

ENGINES = ("hotcoco", "pycocotools")
MAX_DETECTIONS = 20
"""People in an image that COCO's keypoint numbers look at, the best by score."""
_IOUS = {"": slice(None), "50": slice(0, 1), "75": slice(5, 6)}


def score_results(
    json_file: str | Path,
    results: list[dict[str, Any]],
    task: str,
    oks_sigmas: list[float] | None = None,
    engine: str = "hotcoco",
    img_ids: list[int] | None = None,
    cat_ids: list[int] | None = None,
) -> np.ndarray:
    """Return ``COCOeval.stats`` of results in COCO's format; see :class:`Scorer`."""
    truth = load_annotations(json_file).truth(with_masks=task == "segm")
    return Scorer(truth, results, engine).score(task, oks_sigmas, img_ids, cat_ids)


class Scorer:
    """Ground truth and results, to be scored for one task after the other.

    Args:
        truth: content of ground truth in COCO's format, of ``AnnotationFile.truth``.
        results: COCO results; may be empty; not changed.
        engine: one of ``ENGINES``.

    Raises:
        InputError: if the ground truth or the results cannot be read.
    """

    def __init__(self, truth: dict[str, Any], results: list[dict[str, Any]], engine: str) -> None:
        self._truth, self._results, self._engine = truth, results, engine
        self._loaded = self._load()

    def score(
        self,
        task: str,
        oks_sigmas: list[float] | None = None,
        img_ids: list[int] | None = None,
        cat_ids: list[int] | None = None,
        max_detections: int = MAX_DETECTIONS,
    ) -> np.ndarray:
        """Return ``COCOeval.stats``.

        Args:
            task: ``bbox``, ``segm`` or ``keypoints``.
            oks_sigmas: K constants for ``keypoints``; None for COCO's.
            img_ids: the photos to score; None for all.
            cat_ids: the categories to score; None for all.
            max_detections: of ``keypoints``: so many people in an image count, the best by score.

        Returns:
            10 numbers for keypoints, 12 otherwise, in 0-1, -1 where undefined.
        """
        # both print what they do; hotcoco warns of sigmas that are not COCO's, as a dataset's may
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="hotcoco: (kpt_oks_sigmas|max_dets)")
            if self._engine == "hotcoco":
                evaluation = hotcoco.COCOeval(*self._loaded, task)
            else:
                # pycocotools marks the ground truth that a task ignores, for later tasks as well
                evaluation = COCOeval(*(self._loaded or self._load()), task)
                self._loaded = None
            if task == "keypoints" and oks_sigmas is not None:
                evaluation.params.kpt_oks_sigmas = (
                    oks_sigmas if self._engine == "hotcoco" else np.array(oks_sigmas)
                )
            if task == "keypoints":
                evaluation.params.maxDets = [max_detections]
            if img_ids is not None:
                evaluation.params.imgIds = list(img_ids)
            if cat_ids is not None:
                evaluation.params.catIds = list(cat_ids)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        if task == "keypoints" and max_detections != MAX_DETECTIONS:
            return _keypoint_stats(evaluation.eval)  # pycocotools asks for 20 by number
        return np.asarray(evaluation.stats, dtype=np.float64)

    def _load(self) -> tuple[Any, Any]:
        """Return the engine's objects of ground truth and results."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if self._engine == "hotcoco":
                    truth = hotcoco.COCO(self._truth)
                    return truth, truth.loadRes(self._results)
                truth = COCO()
                truth.dataset = copy.deepcopy(self._truth)  # it marks annotations as ignored
                truth.createIndex()
                return truth, _load_results(truth, self._results)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"this ground truth cannot be scored: {error!r}") from error


def _keypoint_stats(evaluated: dict[str, Any]) -> np.ndarray:
    """Return AP, AP50, AP75, APm, APl and the same of AR, as ``COCOeval.summarize`` does."""
    stats = []
    for values in (evaluated["precision"], evaluated["recall"]):
        by_area = [values[..., area, 0] for area in range(3)]  # all, medium, large
        chosen = [by_area[0][rows] for rows in _IOUS.values()] + by_area[1:]
        defined = [each[each > -1] for each in chosen]
        stats += [each.mean() if each.size else -1.0 for each in defined]
    return np.array(stats)


def _load_results(truth: COCO, results: list[dict[str, Any]]) -> COCO:
    if results:
        return truth.loadRes([dict(each) for each in results])  # it adds keys to what it is given
    empty = COCO()  # loadRes looks at the first result, so it cannot take none
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty
