"""One annotation as it is in the file, right or wrong, drawn on its photo."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from detectron2.data.detection_utils import read_image
from detectron2.structures import BoxMode

from pose_project.structures import KeypointSchema
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.visualization.pose_visualizer import PoseVisualizer

_SIDE_PX = 480
_LARGEST = 1e5


def draw_annotation(
    photo: Path, annotation: dict[str, Any], schema: KeypointSchema | None
) -> bytes | None:
    """Return a JPEG of a photo with one annotation, or None if there is nothing to draw.

    Args:
        photo: the file.
        annotation: of a COCO JSON, unchecked: what is unusable is not drawn.
        schema: of its category; None draws no keypoints.
    """
    boxes = _numbers(annotation.get("bbox"), 4)
    if boxes is None or schema is None:
        return None
    drawn = {"file_name": photo.name, "bbox": boxes.tolist(), "bbox_mode": BoxMode.XYWH_ABS}
    points = _numbers(annotation.get("keypoints"), 3 * schema.num_keypoints)
    if points is not None:
        xyv = points.reshape(-1, 3)
        drawn["keypoints"] = (xyv + (PIXEL_CENTRE, PIXEL_CENTRE, 0)).flatten().tolist()
    try:
        image = read_image(str(photo), format="RGB")
    except Exception:  # Pillow's decoders raise nearly anything; the report names the photo
        return None
    scale = _SIDE_PX / max(image.shape[:2])
    visualizer = PoseVisualizer(image, schema, scale=scale)
    picture = visualizer.draw_dataset_dict({"annotations": [drawn]}).get_image()
    return cv2.imencode(".jpg", picture[:, :, ::-1])[1].tobytes()


def _numbers(values: Any, count: int) -> np.ndarray | None:
    """Return (count,) float64, or None unless it is a list of that many numbers."""
    if not isinstance(values, list) or len(values) != count:
        return None
    if not set(map(type, values)) <= {int, float} or not all(abs(v) < _LARGEST for v in values):
        return None
    return np.array(values, np.float64)
