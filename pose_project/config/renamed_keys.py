"""Keys and classes that had another name once: old commands and saved configs keep working."""

import functools
import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf

logger = logging.getLogger(__name__)

RENAMED = {"train.inference.answers": "train.inference.test_time"}
"""The name that a key had, and the one it has; all keys below it move along."""
_HEADS = "pose_project.extras.refined_heads.keypoint_heads"
MOVED = {
    "pose_project.modeling.svd.": "pose_project.extras.svd.low_rank.",
    "pose_project.modeling.torchvision_rcnn.": "pose_project.extras.other_models.torchvision_rcnn.",
    "pose_project.modeling.vit.": "pose_project.extras.other_models.vit.",
    "pose_project.data.augmentation.": "pose_project.extras.augmentation.",
    "pose_project.data.resizing.": "pose_project.extras.other_models.torchvision_resize.",
    "pose_project.modeling.LikelihoodKeypointHead": f"{_HEADS}.LikelihoodKeypointHead",
    "pose_project.modeling.likelihood_head.": f"{_HEADS}.",
    "pose_project.modeling.GlobalContextKeypointHead": f"{_HEADS}.GlobalContextKeypointHead",
    "pose_project.modeling.global_context_head.": f"{_HEADS}.",
}
"""Where the beginning of a ``_target_`` was, and where it is."""


def rename_keys(cfg: DictConfig) -> None:
    """Give the keys of a config their present names, in place."""
    for old, new in RENAMED.items():
        parent, _, last = old.rpartition(".")
        node = OmegaConf.select(cfg, parent)
        if OmegaConf.is_dict(node) and last in node:
            OmegaConf.update(cfg, new, node.pop(last), merge=True)
            _tell(old, new)


def move_targets(content: Any) -> Any:
    """Return the plain content of a saved config, each ``_target_`` where it is now."""
    if isinstance(content, list):
        return [move_targets(each) for each in content]
    if not isinstance(content, dict):
        return content
    content = {key: move_targets(each) for key, each in content.items()}
    target = content.get("_target_")
    for old, new in MOVED.items():
        if isinstance(target, str) and target.startswith(old):
            content["_target_"] = new + target.removeprefix(old)
    return content


def rename_override(override: str) -> str:
    """Return a ``key=value`` with the present name of its key.

    >>> rename_override("train.inference.answers.flip=True")
    'train.inference.test_time.flip=True'
    """
    key, equals, value = override.partition("=")
    for old, new in RENAMED.items():
        if key == old or key.startswith(f"{old}."):
            _tell(old, new)
            return f"{new}{key.removeprefix(old)}{equals}{value}"
    return override


@functools.cache  # once a process
def _tell(old: str, new: str) -> None:
    logger.info("%s is now called %s.", old, new)
