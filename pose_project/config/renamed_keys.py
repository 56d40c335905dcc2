"""Keys of configs that had another name once: old commands and saved configs keep working."""

import functools
import logging

from omegaconf import DictConfig, OmegaConf

logger = logging.getLogger(__name__)

RENAMED = {"train.inference.answers": "train.inference.test_time"}
"""The name that a key had, and the one it has; all keys below it move along."""


def rename_keys(cfg: DictConfig) -> None:
    """Give the keys of a config their present names, in place."""
    for old, new in RENAMED.items():
        parent, _, last = old.rpartition(".")
        node = OmegaConf.select(cfg, parent)
        if OmegaConf.is_dict(node) and last in node:
            OmegaConf.update(cfg, new, node.pop(last), merge=True)
            _tell(old, new)


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
