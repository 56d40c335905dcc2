"""Boxes, masks and poses on a photo, predicted or labelled, for any keypoint schema.

Legend: N people in the photo of H x W pixels, K keypoints of the schema. Coordinates and lengths
are those of :mod:`pose_project.visualization.canvas`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data.catalog import Metadata
from detectron2.structures import BitMasks, BoxMode, Instances, PolygonMasks
from detectron2.utils.visualizer import VisImage

from pose_project.structures import KeypointSchema
from pose_project.structures.schema import SIDE_COLOURS
from pose_project.utils.errors import InputError
from pose_project.visualization.canvas import DARK, LIGHT, PeopleCanvas


class PoseVisualizer(PeopleCanvas):
    """Detectron2's ``Visualizer`` with its drawing of people replaced.

    Against the stock class: dots and lines are coloured by side (left orange, right blue, middle
    green); a labelled but hidden keypoint (v = 1) is a ring, a visible one (v = 2) a disc; each
    annotation decides for itself whether it has keypoints; nothing depends on names like "nose";
    the thresholds are arguments; sizes follow the photo and the person; masks lie under the poses,
    in a colour a person. What is passed in is never changed.

    Args:
        image_rgb: (H, W, 3) RGB in 0..255; not changed.
        schema: names, sides and lines of the K keypoints.
        scale: side length of the drawn picture over that of the photo.
        score_threshold: predicted instances below this box score, in [0, 1], are not drawn.
        keypoint_threshold: predicted keypoints are drawn above this score. It is the score that
            ``heatmaps_to_keypoints`` gives: positive, but no probability, and it can exceed 1.
    """

    def __init__(
        self,
        image_rgb: np.ndarray,
        schema: KeypointSchema,
        scale: float = 1.0,
        score_threshold: float = 0.5,
        keypoint_threshold: float = 0.05,
    ) -> None:
        super().__init__(image_rgb, Metadata().set(**schema.metadata()), scale)
        self.schema = schema
        self.score_threshold = score_threshold
        self.keypoint_threshold = keypoint_threshold
        self._dot_colours = np.array([SIDE_COLOURS[schema.side(n)] for n in schema.names]) / 255
        self._line_ends = np.array(schema.skeleton_indices, dtype=np.int64).reshape(-1, 2)
        self._line_colours = [
            tuple(value / 255 for value in SIDE_COLOURS[schema.line_side(line)])
            for line in schema.skeleton
        ]

    def draw_instance_predictions(self, predictions: Instances) -> VisImage:
        """Draw predicted people: mask, a thin box with track and score, and the pose.

        Args:
            predictions: ``pred_boxes`` and ``scores`` of N people and, where the model gives them,
                ``pred_keypoints`` (N, K, 3) as (x, y, score), ``pred_keypoint_covs`` (N, K, 2, 2)
                in px^2, drawn as ellipses of one sigma, ``pred_masks`` (N, H, W) bool, and
                ``track_ids`` (N,) int, 0 for none; in the space of the photo.

        Raises:
            InputError: if the predictions have another number of keypoints than the schema, or
                masks of another size than the photo.
        """
        predictions = predictions.to("cpu")
        predictions = predictions[predictions.scores >= self.score_threshold]
        boxes = predictions.pred_boxes.tensor.detach().double().numpy()
        scores = predictions.scores.tolist()
        classes = predictions.pred_classes.tolist() if self.schema.categories else [0] * len(boxes)
        has_tracks = predictions.has("track_ids")
        track_ids = predictions.track_ids.tolist() if has_tracks else [0] * len(boxes)
        poses: Sequence[np.ndarray | None] = [None] * len(boxes)
        if predictions.has("pred_keypoints"):
            poses = list(predictions.pred_keypoints.detach().double().numpy())
        covariances = None
        if predictions.has("pred_keypoint_covs"):
            covariances = predictions.pred_keypoint_covs.detach().double().numpy()
        masks = _masks_of(predictions.pred_masks) if predictions.has("pred_masks") else None
        for i in _largest_first(boxes):
            if masks is not None:
                self._draw_person_mask(masks[i], i, "the predictions")
            track = f"#{track_ids[i]} " if track_ids[i] else ""
            self._draw_person_box(boxes[i], label=f"{track}{scores[i]:.2f}")
            if poses[i] is not None:
                keypoints = self._checked(poses[i], "the predictions")
                shown = keypoints[:, 2] > self.keypoint_threshold
                self._draw_pose(keypoints, shown, boxes[i], class_index=classes[i])
                if covariances is not None:
                    shown = shown & self._rows_of(classes[i])
                    line_px = max(1.0, self._line_px(boxes[i]) / 2)
                    colours = self._dot_colours[shown]
                    self._draw_ellipses(
                        keypoints[shown, :2], covariances[i, shown], colours, line_px
                    )
        return self.output

    def draw_dataset_dict(self, dic: dict[str, Any], masks: bool = False) -> VisImage:
        """Draw the annotations of a photo: boxes, poses, and crowds as hatched boxes.

        Args:
            dic: one entry of ``get_dataset_dicts``. ``annotations`` may be missing, and so may
                the ``keypoints`` of an annotation: flat [x, y, v] * K, v in {0, 1, 2}.
            masks: also draw the ``segmentation`` of people where there is one.

        Raises:
            InputError: if an annotation has another number of keypoints than the schema, or a mask
                is malformed.
        """
        owner = dic.get("file_name", "the photo")
        annotations = dic.get("annotations", ())
        boxes = np.array(
            [
                BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS)
                for a in annotations
            ]
        ).reshape(-1, 4)
        for i in _largest_first(boxes):
            crowd = bool(annotations[i].get("iscrowd", 0))
            if masks and not crowd and "segmentation" in annotations[i]:
                self._draw_person_mask(annotations[i]["segmentation"], i, owner)
            self._draw_person_box(boxes[i], label="crowd" if crowd else "", hatched=crowd)
            values = annotations[i].get("keypoints")
            if values is not None and len(values) > 0:
                class_index = annotations[i].get("category_id", 0)
                self._draw_labelled_pose(values, boxes[i], owner, class_index)
        return self.output

    def draw_training_instances(self, instances: Instances) -> VisImage:
        """Draw what the mapper gives the model: ``gt_boxes``, ``gt_keypoints``, ``gt_masks``.

        Args:
            instances: with ``gt_boxes`` and, optionally, ``gt_keypoints`` (N, K, 3) as (x, y, v)
                and ``gt_masks``, polygons or bitmasks; in the space of the photo that this object
                draws on, that is after augmentation.

        Raises:
            InputError: if the instances have another number of keypoints than the schema.
        """
        instances = instances.to("cpu")
        boxes = instances.gt_boxes.tensor.double().numpy()
        masks = _masks_of(instances.gt_masks) if instances.has("gt_masks") else None
        for i in _largest_first(boxes):
            if masks is not None:
                self._draw_person_mask(masks[i], i, "the training instances")
            self._draw_person_box(boxes[i])
            if instances.has("gt_keypoints"):
                keypoints = instances.gt_keypoints.tensor[i].numpy()
                class_index = int(instances.gt_classes[i]) if self.schema.categories else 0
                self._draw_labelled_pose(keypoints, boxes[i], "the training instances", class_index)
        return self.output

    def draw_and_connect_keypoints(self, keypoints: np.ndarray) -> VisImage:
        """Draw the predicted pose of one person; what the inherited ``overlay_instances`` calls.

        Args:
            keypoints: (K, 3) as (x, y, score).

        Raises:
            InputError: if there are more or fewer keypoints than in the schema.
        """
        keypoints = self._checked(keypoints, "the pose")
        self._draw_pose(keypoints, keypoints[:, 2] > self.keypoint_threshold)
        return self.output

    def _checked(self, keypoints: np.ndarray | Sequence[float], owner: str) -> np.ndarray:
        """Return keypoints as a (K, 3) array of this schema's K."""
        values = np.asarray(keypoints, dtype=np.float64)
        if values.size != 3 * self.schema.num_keypoints:
            raise InputError(
                f"{owner}: {values.size} keypoint values for one person, but the schema has "
                f"{self.schema.num_keypoints} keypoints of 3 values; draw with the schema that "
                "the keypoints were made with"
            )
        return values.reshape(-1, 3)

    def _draw_labelled_pose(
        self,
        keypoints: np.ndarray | Sequence[float],
        box_xyxy: np.ndarray,
        owner: str,
        class_index: int,
    ) -> None:
        keypoints = self._checked(keypoints, owner)
        v = keypoints[:, 2]
        self._draw_pose(keypoints, v > 0, box_xyxy, v < 2, class_index)

    def _draw_pose(
        self,
        keypoints: np.ndarray,
        drawn: np.ndarray,
        box_xyxy: np.ndarray | None = None,
        hidden: np.ndarray | None = None,
        class_index: int = 0,
    ) -> None:
        """Draw (K, 3) keypoints where ``drawn`` (K,); those ``hidden`` (K,) as rings.

        Of several categories only the keypoints and lines of ``class_index`` are drawn.
        """
        xy = keypoints[:, :2]
        drawn = drawn & np.isfinite(xy).all(axis=1) & self._rows_of(class_index)
        if not drawn.any():
            return
        if box_xyxy is None or not np.isfinite(box_xyxy).all():
            box_xyxy = np.concatenate([xy[drawn].min(axis=0), xy[drawn].max(axis=0)])
        line_px = self._line_px(box_xyxy)
        outline_px = max(0.8, 0.35 * line_px)
        shown = drawn[self._line_ends].all(axis=1) & self._lines_of(class_index)
        colours = [colour for colour, show in zip(self._line_colours, shown, strict=True) if show]
        self._draw_lines(xy[self._line_ends[shown]], colours, line_px, outline_px)

        dot_px = max(5.0, 2.6 * line_px)  # diameter: below 5 no ring can be told from a disc
        self._draw_discs(xy[drawn], DARK, dot_px + 2 * outline_px)
        self._draw_discs(xy[drawn], self._dot_colours[drawn], dot_px)
        if hidden is not None:
            self._draw_discs(xy[drawn & hidden], LIGHT, 0.58 * dot_px)

    def _rows_of(self, class_index: int) -> np.ndarray:
        """Return (K,) bool: the keypoints that instances of a class have."""
        rows = np.zeros(self.schema.num_keypoints, dtype=bool)
        rows[list(self.schema.class_rows(class_index))] = True
        return rows

    def _lines_of(self, class_index: int) -> np.ndarray:
        """Return bool for each line: whether it belongs to the skeleton of a class."""
        own = set(self.schema.class_schema(class_index).skeleton)
        return np.array([line in own for line in self.schema.skeleton], dtype=bool)


def _masks_of(masks: BitMasks | PolygonMasks | torch.Tensor) -> Sequence[Any]:
    """Return polygons or (H, W) arrays, one entry a person."""
    if isinstance(masks, PolygonMasks):
        return masks.polygons
    return (masks.tensor if isinstance(masks, BitMasks) else masks).numpy()


def _largest_first(boxes_xyxy: np.ndarray) -> list[int]:
    """Return the order in which (N, 4) boxes are drawn, so that small people stay on top."""
    with np.errstate(invalid="ignore"):  # a box that is not finite comes last and is not drawn
        sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
        return np.argsort(-sides.prod(axis=1), kind="stable").tolist()
