"""Ground truth beside predictions, for the first images with people."""

import itertools
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import torch
from detectron2.data import detection_utils
from detectron2.evaluation import inference_context
from torch import nn

from pose_project.extras.pictures.side_by_side import draw_side_by_side
from pose_project.structures import KeypointSchema
from pose_project.utils.files import atomic_path

logger = logging.getLogger(__name__)


def draw_predictions(
    model: nn.Module,
    mapper: Callable[[dict[str, Any]], dict[str, Any]],
    dataset_dicts: Iterable[dict[str, Any]],
    schema: KeypointSchema,
    output_dir: Path,
    count: int,
) -> None:
    """Write ``count`` pictures, ground truth on the left and predictions on the right.

    Args:
        model: set to evaluation for the time of this call.
        mapper: the evaluation's.
        dataset_dicts: the evaluation's; the first images that have keypoints are taken.
        schema: of the keypoints.
        output_dir: gets one PNG an image, named by its id.
        count: how many.
    """
    chosen = list(itertools.islice(filter(_has_keypoints, dataset_dicts), count))
    with inference_context(model), torch.no_grad():
        for record in chosen:
            instances = model([mapper(record)])[0]["instances"].to("cpu")
            image = detection_utils.read_image(record["file_name"], format="RGB")
            drawn = draw_side_by_side(image, record, instances, schema, keypoint_threshold=0.0)
            with atomic_path(output_dir / f"{record['image_id']}.png") as temporary:
                encoded, png = cv2.imencode(".png", drawn[:, :, ::-1])
                temporary.write_bytes(png.tobytes() if encoded else b"")
    logger.info("Drew %d photos into %s", len(chosen), output_dir)


def _has_keypoints(record: dict[str, Any]) -> bool:
    return any(max(a.get("keypoints", ())[2::3], default=0) > 0 for a in record["annotations"])
