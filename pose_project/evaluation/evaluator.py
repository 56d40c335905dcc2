"""COCO evaluation of boxes and keypoints, with every number COCO defines."""

import itertools
import json
import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.data.datasets.coco import convert_to_coco_json
from detectron2.evaluation import COCOEvaluator
from detectron2.utils import comm

from pose_project.data import get_schema, resolve_dataset
from pose_project.data.annotation_files import AnnotationFile, load_annotations
from pose_project.evaluation.scoring import ENGINES, MAX_DETECTIONS, Scorer
from pose_project.evaluation.tables import METRICS, format_table, stats_to_metrics
from pose_project.structures import KeypointSchema, schema_of_categories
from pose_project.structures.coco_results import to_coco_results
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError
from pose_project.utils.files import file_name_of, write_text_atomic
from pose_project.utils.json_files import collection_paused

logger = logging.getLogger(__name__)


class PoseEvaluator(COCOEvaluator):
    """Detectron2's evaluator with all 10 keypoint and all 12 box numbers.

    Against the stock one: recall is returned too, OKS sigmas come from the dataset's schema, the
    model's predictions are not changed, no prediction at all scores 0 instead of losing the key,
    hotcoco computes the numbers (the same to 1e-6 as pycocotools, many times faster), and what the
    annotations lack is filled in as for training.

    Args:
        dataset_name: a registered, COCO or synthetic name.
        output_dir: where ``coco_instances_results.json`` and ``metrics.json`` are written; None
            writes nothing.
        tasks: of ``bbox segm keypoints``; by default what the ground truth and model have.
        engine: ``"hotcoco"`` or the reference, ``"pycocotools"``.
        max_detections: people in an image whose keypoints are scored, the best by score; COCO's
            numbers look at 20.

    Raises:
        InputError: if the dataset or the engine is unknown, or its annotations cannot be scored.
    """

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | None = None,
        tasks: tuple[str, ...] | None = None,
        engine: str = "hotcoco",
        max_detections: int = MAX_DETECTIONS,
    ) -> None:
        if engine not in ENGINES:
            raise InputError(f"unknown evaluation engine {engine!r}; choose one of {ENGINES}")
        if not isinstance(dataset_name, str):
            raise InputError(f"evaluate one dataset at a time, not {dataset_name}")
        unknown = set(tasks or ()) - METRICS.keys()
        if unknown:
            raise InputError(f"unknown evaluation task {unknown.pop()!r}; known: {list(METRICS)}")
        if type(max_detections) is not int or max_detections < 1:
            raise InputError(f"max_detections must be a whole number from 1, got {max_detections}")
        super(COCOEvaluator, self).__init__()  # its own constructor reads the annotations again
        self.dataset_name = dataset_name
        self.engine = engine
        self.max_detections = max_detections
        self.annotations = _annotations_of(dataset_name, output_dir)
        self.schema = get_schema(dataset_name) if tasks is None or "keypoints" in tasks else None
        self.model_schema = self.schema
        # the file's id of each class of the model, None of what it does not list
        self.class_ids: list[int | None] = list(self._category_ids())
        self._tasks, self._output_dir = tasks, output_dir
        self._distributed = True
        self._predictions: list[tuple[int, Poses]] = []
        if self.annotations.has_annotations:  # what cannot be scored shows now, not after training
            if not self.annotations.annotations:
                raise InputError(
                    f"{self.annotations.path} has nobody to score against: "
                    f"{self.annotations.describe_changes() or 'its list of annotations is empty'}"
                )
            if self.schema is not None and not self._has_labels():
                raise InputError(
                    f"{self.annotations.path} labels no keypoint to score against; "
                    "dataloader.evaluator.tasks=[bbox] scores boxes alone"
                )
            self._scorer([])

    def match_categories(self, categories: Sequence[dict[str, Any]]) -> None:
        """Take predictions for the categories of the same names, however the file numbers them.

        A single category may have another name. Predictions of a category that the file does not
        list are not scored, which is said.

        Args:
            categories: what the model predicts, in the order of its classes, as in a COCO JSON.

        Raises:
            InputError: if the file lists a category that the model does not predict, or one with
                other keypoints.
        """
        listed = {str(each.get("name")): each for each in self.annotations.categories}
        named = {str(each.get("name")): each for each in categories}
        if len(listed) == len(named) == 1:
            named = dict(zip(listed, named.values(), strict=True))
        unknown = [name for name in listed if name not in named]
        if unknown:
            raise InputError(
                f"{self.annotations.path} lists category {unknown[0]!r}, which the model does not "
                f"predict; it predicts {', '.join(map(repr, named))}"
            )
        for name, each in listed.items():
            if self.schema is not None and each["keypoints"] != named[name].get("keypoints"):
                raise InputError(
                    f"{self.annotations.path}: category {name!r} has other keypoints than the "
                    f"model's: {_first_difference(each['keypoints'], named[name]['keypoints'])}"
                )
        missing = [name for name in named if name not in listed]
        if missing:
            logger.info(
                "%s does not list %s: these predictions are not scored",
                self.annotations.path,
                ", ".join(map(repr, missing)),
            )
        self.class_ids = [listed[name]["id"] if name in listed else None for name in named]
        if self.schema is not None:
            self.model_schema = schema_of_categories(list(named.values()))

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep the predictions of some images.

        Args:
            inputs: what the model was given; ``image_id`` is read.
            outputs: what it returned; ``instances`` in the space of the original image.
        """
        for given, returned in zip(inputs, outputs, strict=True):
            poses = Poses.of_instances(returned["instances"], extras=["masks"])
            self._predictions.append((given["image_id"], poses))

    @collection_paused()
    def evaluate(self, img_ids: list[int] | None = None) -> dict[str, dict[str, float]]:
        """Score everything that was processed, in all processes.

        Args:
            img_ids: the images to score; None for the whole dataset.

        Returns:
            {task: {metric: percent}}; see ``tables.METRICS``. Where several categories have
            keypoints, ``keypoints_<category>`` for each, and ``keypoints`` is their mean. Empty in
            all but the main process, and where the dataset has no annotations to score against.

        Raises:
            InputError: if the predictions have another number of keypoints than the dataset.
        """
        predictions = self._predictions
        if self._distributed:
            gathered = comm.gather(predictions, dst=0)
            if not comm.is_main_process():
                return {}
            predictions = list(itertools.chain(*gathered))
        image_ids, images = zip(*predictions, strict=True) if predictions else ((), ())
        self._check_keypoints(images)
        results = to_coco_results(images, image_ids, self.model_schema, self.class_ids)
        results = [each for each in results if each["category_id"] is not None]
        if self._output_dir:
            path = Path(self._output_dir) / "coco_instances_results.json"
            write_text_atomic(path, json.dumps(results))
        if not self.annotations.has_annotations:
            logger.info("%s has no annotations: nothing to score.", self.dataset_name)
            return {}
        scores = self._score_tasks(results, img_ids)
        for name, metrics in scores.items():
            is_keypoints = name.startswith("keypoints")
            limit = self.max_detections if is_keypoints else None
            table = format_table("keypoints" if is_keypoints else name, metrics, limit)
            note = " (OKS sigmas estimated)" if self._estimated and is_keypoints else ""
            logger.info("%s on %s%s:\n%s", name, self.dataset_name, note, table)
        self._note_crowded_images()
        if self._output_dir:
            self._write_metrics(Path(self._output_dir) / "metrics.json", scores)
        return scores

    def _score_tasks(
        self, results: list[dict[str, Any]], img_ids: list[int] | None
    ) -> dict[str, dict[str, float]]:
        scores, scorer = {}, self._scorer(results)
        for task in self._tasks or self._tasks_of(results):
            if task == "keypoints" and self.schema.categories:
                scores |= self._score_categories(results, img_ids)
            elif task == "segm":
                # with a box the APIs would take its area, not the mask's, for small/medium/large
                masks = [{k: v for k, v in each.items() if k != "bbox"} for each in results]
                scores[task] = self._score(self._scorer(masks, with_masks=True), task, img_ids)
            else:
                scores[task] = self._score(scorer, task, img_ids)
        return scores

    def _write_metrics(self, file: Path, scores: dict[str, dict[str, float]]) -> None:
        defined = {
            task: {k: None if math.isnan(v) else v for k, v in metrics.items()}
            for task, metrics in scores.items()
        }
        record = {
            "dataset": self.dataset_name,
            "oks_sigmas_estimated": self._estimated,
            "percent": defined,
        }
        write_text_atomic(file, json.dumps(record, indent=2))

    def _has_labels(self) -> bool:
        return any(each.get("num_keypoints") for each in self.annotations.annotations)

    def _note_crowded_images(self) -> None:
        """Say where people are labelled that the keypoint numbers cannot see."""
        people = Counter(
            each["image_id"]
            for each in self.annotations.annotations
            if each.get("num_keypoints") and not each["iscrowd"]
        )
        crowded = sum(count > self.max_detections for count in people.values())
        if crowded and self.schema is not None:
            logger.info(
                "%d images have more than %d labelled people: the keypoint numbers stop there; "
                "dataloader.evaluator.max_detections=N looks at more",
                crowded,
                self.max_detections,
            )

    @property
    def _estimated(self) -> bool:
        return self.schema is not None and self.schema.sigmas_estimated

    def _tasks_of(self, results: list[dict[str, Any]]) -> list[str]:
        with_masks = any("segmentation" in each for each in results)
        return ["bbox", *(["segm"] if with_masks else []), "keypoints"]

    def _category_ids(self) -> dict[int, int]:
        """Return {id in the file: contiguous id} of the categories that are scored."""
        return {each["id"]: index for index, each in enumerate(self.annotations.categories)}

    def _score_categories(
        self, results: list[dict[str, Any]], img_ids: list[int] | None
    ) -> dict[str, dict[str, float]]:
        """Score the keypoints of each category with its own sigmas, and return the mean as well.

        COCO's numbers are means over categories; those that are undefined do not count.
        """
        scores = {}
        for id_, index in self._category_ids().items():
            name, schema = self.schema.categories[index]
            own = [each for each in results if each["category_id"] == id_]
            scores[f"keypoints_{name}"] = self._score(
                self._scorer(own), "keypoints", img_ids, schema, [id_]
            )
        mean = {}
        for metric in next(iter(scores.values())):
            defined = [each[metric] for each in scores.values() if not math.isnan(each[metric])]
            mean[metric] = sum(defined) / len(defined) if defined else math.nan
        return {"keypoints": mean, **scores}

    def _scorer(self, results: list[dict[str, Any]], with_masks: bool = False) -> Scorer:
        return Scorer(self.annotations.truth(with_masks), results, self.engine)

    def _score(
        self,
        scorer: Scorer,
        task: str,
        img_ids: list[int] | None,
        schema: KeypointSchema | None = None,
        cat_ids: list[int] | None = None,
    ) -> dict[str, float]:
        schema = schema or self.schema
        sigmas = None if schema is None else list(schema.oks_sigmas)
        cat_ids = cat_ids or list(self._category_ids())
        stats = scorer.score(task, sigmas, img_ids, cat_ids, self.max_detections)
        return stats_to_metrics(task, stats)

    def _check_keypoints(self, images: Sequence[Poses]) -> None:
        numbers = {each.keypoints.shape[1] for each in images if len(each)} - {0}
        schema = self.model_schema
        if schema is None or numbers <= {schema.num_keypoints}:
            return
        raise InputError(
            f"the model predicts {numbers.pop()} keypoints, dataset {self.dataset_name!r} has "
            f"{schema.num_keypoints}, and there are {len(schema.oks_sigmas)} OKS sigmas; the three "
            "must agree"
        )


def _first_difference(listed: Sequence[str], predicted: Sequence[str]) -> str:
    pairs = enumerate(itertools.zip_longest(listed, predicted), 1)
    return next(f"number {n} is {a!r} there and {b!r} here" for n, (a, b) in pairs if a != b)


def _annotations_of(dataset_name: str, output_dir: str | None) -> AnnotationFile:
    """Return the ground truth; that of a dataset without a file is written into one first."""
    metadata = resolve_dataset(dataset_name)
    if metadata.get("json_file") is not None:
        return load_annotations(metadata.json_file)
    if output_dir is None:
        raise InputError(f"dataset {dataset_name!r} has no annotation file; give an output_dir")
    path = Path(output_dir) / file_name_of(f"{dataset_name}_coco_format.json")
    convert_to_coco_json(dataset_name, str(path))
    return load_annotations(path)
