"""From a config to what it describes, and to plain data."""

from typing import Any

from detectron2.config import instantiate
from omegaconf import DictConfig, OmegaConf

from pose_project.utils.errors import InputError, PoseError


def build(cfg: DictConfig, part: str) -> Any:
    """Return what a part of a config describes.

    Args:
        cfg: the whole config.
        part: dotted key of a lazy call, such as ``dataloader.train``.

    Raises:
        InputError: naming the part, if its arguments do not make one, or the package that it needs.
    """
    try:
        return instantiate(OmegaConf.select(cfg, part))
    except PoseError:
        raise
    except ModuleNotFoundError as error:
        raise InputError(f"{part} needs {error.name}: pip install {error.name}") from error
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError) as error:
        raise InputError(f"{part} cannot be built from this config: {error!r}") from error


def plain_config(cfg: DictConfig) -> Any:
    """Return a config as dicts, lists and plain values; calls are named by their import path."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        if callable(value):
            return f"{value.__module__}.{value.__qualname__}"
        return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)

    return plain(OmegaConf.to_container(cfg, resolve=False))
