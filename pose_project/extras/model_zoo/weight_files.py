"""A file of weights converted to another file, with a JSON beside it that says how."""

from pathlib import Path
from typing import Any

from pose_project.checkpoint.checkpointer import load_tensors, write_checkpoint
from pose_project.extras.model_zoo.torchvision_weights import (
    DETECTRON2_BN_EPS,
    from_torchvision,
    to_torchvision,
)
from pose_project.utils.errors import InputError
from pose_project.utils.provenance import sha256_of


def convert_file(
    source: Path, output: Path, is_from_torchvision: bool, bn_eps: float | None = None
) -> dict[str, Any]:
    """Convert weights of ``keypointrcnn_resnet50_fpn`` to this project's, or back.

    Args:
        source: a ``.pth`` file, read as data only.
        output: a ``.pth`` file, whole or not there.
        is_from_torchvision: else this project's weights are converted to torchvision's.
        bn_eps: what torchvision's model adds to variances; None is 0 from torchvision, as in
            ``COCO_V1``, and torchvision's default of 1e-5 to it.

    Returns:
        What the JSON says: ``from``, ``to``, ``bn_eps`` and the counts ``converted``, ``dropped``
        and ``rescaled_channels``.

    Raises:
        InputError: if the file is damaged or holds the weights of another model.
    """
    if bn_eps is None:
        bn_eps = 0.0 if is_from_torchvision else DETECTRON2_BN_EPS
    content = load_tensors(str(source))
    weights = content.get("model", content)
    if not isinstance(weights, dict):
        raise InputError(f"{source} holds a {type(weights).__name__}, not a dict of weights")
    try:
        conversion = (from_torchvision if is_from_torchvision else to_torchvision)(weights, bn_eps)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    record = {
        "from": "torchvision" if is_from_torchvision else "pose_project",
        "to": "pose_project" if is_from_torchvision else "torchvision",
        "bn_eps": bn_eps,
        "converted": len(conversion.weights),
        "dropped": conversion.num_dropped,
        "rescaled_channels": conversion.num_rescaled,
    }
    write_checkpoint(
        output,
        {"model": conversion.weights} if is_from_torchvision else conversion.weights,
        {"conversion": record, "source": {"file": source.name, "sha256": sha256_of(source)}},
    )
    return record
