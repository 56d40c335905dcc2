"""Poses with the image that they were found in: drawn, shown, and in the forms of other tools."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pose_project.structures import KeypointSchema
from pose_project.structures.coco_results import to_coco_results
from pose_project.structures.pose_table import POSE_COLUMNS, pose_rows
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError
from pose_project.visualization import PoseVisualizer

if TYPE_CHECKING:
    import pandas
    import supervision

_COVARIANCE_COLUMNS = {"var_x": (0, 0), "cov_xy": (0, 1), "var_y": (1, 1)}


@dataclass(frozen=True, kw_only=True, repr=False)
class ImagePoses(Poses):
    """``Poses`` of one image; the last expression of a notebook's cell shows them drawn.

    Attributes:
        image_bgr: (H, W, 3) uint8, blue, green, red.
        schema: of the K keypoints.
        categories: of the classes, as in a COCO JSON.
    """

    image_bgr: np.ndarray
    schema: KeypointSchema
    categories: list[dict[str, Any]]

    def __repr__(self) -> str:
        """Return a line; the arrays are attributes."""
        height, width = self.image_size_hw
        points = self.keypoints.shape[1]
        return f"<{len(self)} found in {width}x{height} pixels, {points} keypoints each>"

    def draw(self, score_threshold: float = 0.5, keypoint_threshold: float = 0.05) -> np.ndarray:
        """Return the image with the people on it, (H, W, 3) uint8, blue, green, red.

        Args:
            score_threshold: people below it are not drawn.
            keypoint_threshold: nor are keypoints whose score is not above this.
        """
        return draw_poses(self.image_bgr, self, self.schema, score_threshold, keypoint_threshold)

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows, a PNG."""
        return cv2.imencode(".png", self.draw())[1].tobytes()

    def to_coco(self, image_id: int = 1) -> list[dict[str, Any]]:
        """Return one dict a person in COCO's results format.

        The x and y of ``keypoints`` are pixel indices there, half a pixel less than here.
        """
        category_ids = [each["id"] for each in self.categories]
        return to_coco_results([self], [image_id], self.schema, category_ids)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a table with a row a keypoint and the columns of ``POSE_COLUMNS``.

        With covariances there are ``var_x``, ``cov_xy`` and ``var_y`` as well, in px^2.

        Raises:
            InputError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise InputError("to_pandas needs pandas: pip install pandas") from error
        names = [each["name"] for each in self.categories]
        table = pandas.DataFrame(list(pose_rows(self, names, self.schema)), columns=POSE_COLUMNS)
        if self.covariances is not None:
            rows = [list(self.schema.class_rows(each)) for each in self.classes]
            spread = [each[own] for each, own in zip(self.covariances, rows, strict=True)]
            spread = np.concatenate([np.zeros((0, 2, 2), np.float32), *spread])
            for name, (row, column) in _COVARIANCE_COLUMNS.items():
                table[name] = spread[:, row, column]
        return table

    def to_supervision(self) -> "supervision.KeyPoints":
        """Return ``supervision.KeyPoints``: xy (N, K, 2), scores of keypoints and people, classes.

        Covariances, where there are any, are ``data["covariance"]`` (N, K, 2, 2) in px^2.

        Raises:
            InputError: if supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise InputError("to_supervision needs supervision: pip install supervision") from error
        return supervision.KeyPoints(
            xy=self.keypoints[..., :2],
            keypoint_confidence=self.keypoints[..., 2],
            detection_confidence=self.scores,
            class_id=self.classes,
            data={} if self.covariances is None else {"covariance": self.covariances},
        )


def draw_poses(
    image_bgr: np.ndarray,
    poses: Poses,
    schema: KeypointSchema,
    score_threshold: float,
    keypoint_threshold: float,
) -> np.ndarray:
    """Return an (H, W, 3) uint8 BGR picture with the people on it, see ``ImagePoses.draw``."""
    visualizer = PoseVisualizer(
        image_bgr[:, :, ::-1],
        schema,
        score_threshold=score_threshold,
        keypoint_threshold=keypoint_threshold,
    )
    return visualizer.draw_instance_predictions(poses.to_instances()).get_image()[:, :, ::-1]
