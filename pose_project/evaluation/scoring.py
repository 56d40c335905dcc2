"""COCO's numbers by one of two libraries: hotcoco, fast, or pycocotools, the reference."""

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose_project.data.annotation_files import completed_file
from pose_project.utils.errors import InputError

ENGINES = ("hotcoco", "pycocotools")

_SCORED_BY = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": (
        *("id", "image_id", "category_id", "iscrowd", "area"),
        *("bbox", "segmentation", "keypoints", "num_keypoints"),
    ),
    "categories": ("id", "name"),
}


def score_results(
    json_file: str,
    results: list[dict[str, Any]],
    task: str,
    oks_sigmas: list[float] | None = None,
    engine: str = "hotcoco",
    img_ids: list[int] | None = None,
    cat_ids: list[int] | None = None,
) -> np.ndarray:
    """Return ``COCOeval.stats`` of results in COCO's format; see :class:`Scorer`."""
    return Scorer(json_file, results, engine).score(task, oks_sigmas, img_ids, cat_ids)


class Scorer:
    """Ground truth and results, to be scored for one task after the other.

    Args:
        json_file: ground truth; hotcoco takes its content as well.
        results: COCO results; may be empty; not changed.
        engine: one of ``ENGINES``.

    Raises:
        InputError: if the ground truth cannot be read.
    """

    def __init__(
        self, json_file: str | dict[str, Any], results: list[dict[str, Any]], engine: str
    ) -> None:
        self._json_file, self._results, self._engine = json_file, results, engine
        self._loaded = self._load()

    def score(
        self,
        task: str,
        oks_sigmas: list[float] | None = None,
        img_ids: list[int] | None = None,
        cat_ids: list[int] | None = None,
    ) -> np.ndarray:
        """Return ``COCOeval.stats``.

        Args:
            task: ``bbox``, ``segm`` or ``keypoints``.
            oks_sigmas: K constants for ``keypoints``; None for COCO's.
            img_ids: the photos to score; None for all.
            cat_ids: the categories to score; None for all.

        Returns:
            10 numbers for keypoints, 12 otherwise, in 0-1, -1 where undefined.
        """
        # both print what they do; hotcoco warns of sigmas that are not COCO's, as a dataset's may
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="hotcoco: kpt_oks_sigmas")
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
            if img_ids is not None:
                evaluation.params.imgIds = list(img_ids)
            if cat_ids is not None:
                evaluation.params.catIds = list(cat_ids)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return np.asarray(evaluation.stats, dtype=np.float64)

    def _load(self) -> tuple[Any, Any]:
        """Return the engine's objects of ground truth and results."""
        with contextlib.redirect_stdout(io.StringIO()):
            truth = load_ground_truth(self._json_file, self._engine)
            if self._engine == "hotcoco":
                return truth, truth.loadRes(self._results)
            return truth, _load_results(truth, self._results)


def load_ground_truth(json_file: str | dict[str, Any], engine: str) -> Any:
    """Return an engine's ``COCO`` of a file, with what its annotations lack filled in.

    hotcoco's also of the content of one, which must lack nothing.

    Raises:
        InputError: if the engine finds something in it that is not COCO's format.
    """
    try:
        if isinstance(json_file, dict):
            return hotcoco.COCO(json_file)
        with completed_file(json_file) as path:
            return _load_hotcoco(path) if engine == "hotcoco" else COCO(path)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{json_file} cannot be scored: {error!r}") from error


def _load_hotcoco(json_file: str) -> hotcoco.COCO:
    try:
        return hotcoco.COCO(json_file)
    except ValueError:
        # it is strict about fields that nothing is scored by, such as CVAT's "date_captured": 0
        content = json.loads(Path(json_file).read_text(encoding="utf-8"))
        return hotcoco.COCO(
            {
                part: [{key: each[key] for key in keys if key in each} for each in content[part]]
                for part, keys in _SCORED_BY.items()
            }
        )


def _load_results(truth: COCO, results: list[dict[str, Any]]) -> COCO:
    if results:
        return truth.loadRes([dict(each) for each in results])  # it adds keys to what it is given
    empty = COCO()  # loadRes looks at the first result, so it cannot take none
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty
