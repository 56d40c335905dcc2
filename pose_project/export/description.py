"""What a program must know to use an exported model: ``model.json`` beside it."""

from pathlib import Path
from typing import Any

from detectron2.data import MetadataCatalog
from omegaconf import DictConfig

from pose_project.data import get_schema
from pose_project.engine.config import plain_config
from pose_project.export.graph import PoseGraph
from pose_project.export.writing import FILES, ONNX_OPSET
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError
from pose_project.utils.provenance import collect_provenance, sha256_of


def read_schema_of(cfg: DictConfig, num_keypoints: int) -> KeypointSchema:
    """Return the keypoints of the config's test dataset; COCO's own need no annotations at hand.

    Raises:
        InputError: if it is not known, or the model has another number of keypoints.
    """
    names = cfg.dataloader.test.dataset.names
    if isinstance(names, str) and MetadataCatalog.get(names).get("keypoint_names"):
        schema = KeypointSchema.from_metadata(MetadataCatalog.get(names))
    else:
        schema = get_schema(names)
    if schema.num_keypoints != num_keypoints:
        raise InputError(
            f"the head predicts {num_keypoints} keypoints, {names} has {schema.num_keypoints}; set "
            "dataloader.test.dataset.names to the dataset that the model was trained for"
        )
    return schema


def describe(
    cfg: DictConfig,
    schema: KeypointSchema,
    graph: PoseGraph,
    weights: Path,
    file_format: str,
    verified: dict[str, Any],
) -> dict[str, Any]:
    """Return the content of ``model.json``, without the file's own sha256.

    Args:
        cfg: the whole config.
        schema: its keypoints.
        graph: what was exported.
        weights: the checkpoint.
        file_format: a key of ``FILES``.
        verified: how far the file agrees with PyTorch.
    """
    names = cfg.dataloader.test.dataset.names
    first = names if isinstance(names, str) else names[0]
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
        "classes": _describe_classes(schema, MetadataCatalog.get(first).get("thing_classes")),
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


def _describe_classes(schema: KeypointSchema, names: list[str] | None) -> list[dict[str, Any]]:
    """Return each class and the keypoints that its instances have."""
    names = names or [name for name, _ in schema.categories] or ["person"]
    return [
        {"name": name, "keypoint_names": list(schema.class_schema(index).names)}
        for index, name in enumerate(names)
    ]
