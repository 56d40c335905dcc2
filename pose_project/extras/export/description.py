"""What a program must know to use an exported model: ``model.json`` beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pose_project.config.building import plain_config
from pose_project.extras.export.formats import FILES
from pose_project.extras.export.graph import PoseGraph
from pose_project.extras.export.writing import ONNX_OPSET
from pose_project.structures import KeypointSchema
from pose_project.utils.provenance import collect_provenance, sha256_of


def describe(
    cfg: DictConfig,
    categories: Sequence[Mapping[str, Any]],
    schema: KeypointSchema,
    graph: PoseGraph,
    weights: Path,
    file_format: str,
    verified: dict[str, Any],
) -> dict[str, Any]:
    """Return the content of ``model.json``, without the file's own sha256.

    Args:
        cfg: the whole config.
        categories: what it predicts, as ``categories`` of a COCO JSON.
        schema: of all its keypoints.
        graph: what was exported.
        weights: the checkpoint.
        file_format: a key of ``FILES``.
        verified: how far the file agrees with PyTorch.
    """
    rule, predictor = graph.rule, graph.box_predictor
    return {
        "file": FILES[file_format],
        "format": {"onnx": f"ONNX, opset {ONNX_OPSET}", "torchscript": "TorchScript"}[file_format],
        "input": {
            "name": "image",
            "shape": ["height", "width", 3],
            "dtype": "uint8",
            "channels": "BGR",
            "size": "any; the file resizes",
        },
        "outputs": {
            "boxes": "(people, 4) float32: x0, y0, x1, y1",
            "scores": "(people,) float32, descending",
            "classes": "(people,) int64: index into classes",
            "keypoints": f"(people, {schema.num_keypoints}, 3) float32: x, y, score",
        },
        "coordinates": (
            "pixels of the given photo, continuous: the centre of its first pixel is (0.5, 0.5). "
            "A keypoint's score is above 0 and may exceed 1."
        ),
        "classes": [
            {"name": each["name"], "category_id": each["id"], "keypoint_names": each["keypoints"]}
            for each in categories
        ],
        "keypoint_names": list(schema.names),
        "flip_pairs": [list(pair) for pair in schema.flip_pairs],
        "skeleton": [list(line) for line in schema.skeleton],
        "oks_sigmas": list(schema.oks_sigmas),
        "resize": {
            "inside_the_file": True,
            "short_edge": rule.short_edge,
            "max_size": rule.max_size,
            "filter": "bilinear as Pillow's" if rule.antialias else "bilinear without a filter",
        },
        "thresholds": {
            "score": predictor.test_score_thresh,
            "nms_iou": predictor.test_nms_thresh,
            "most_people": predictor.test_topk_per_image,
            "most_people_with_keypoints_per_class": getattr(
                graph.keypoint_head, "topk_per_image", None
            ),
        },
        "verified_against_pytorch": verified,
        "provenance": {
            "weights": str(weights),
            "weights_sha256": sha256_of(weights),
            **collect_provenance(),
            "config": plain_config(cfg),
        },
    }
