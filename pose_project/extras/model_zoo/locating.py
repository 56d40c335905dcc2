"""From a model's name to its config and weights."""

from dataclasses import dataclass
from pathlib import Path

import pose_project
from pose_project.checkpoint.checkpointer import tagged_checkpoint
from pose_project.extras.model_zoo.named_models import DEFAULT, find_model
from pose_project.extras.model_zoo.weights_cache import fetch_weights
from pose_project.utils.errors import InputError

_PACKAGE = Path(pose_project.__file__).parent


@dataclass(frozen=True)
class ModelFiles:
    """What a name stands for.

    Attributes:
        config_file: of the model.
        weights: its checkpoint.
    """

    config_file: str
    weights: str


def locate_model(name: str | None = None) -> ModelFiles:
    """Return the files of a named model; its weights are fetched if they are not in the cache.

    Args:
        name: of a published model, None for the default; the folder of a run, of which
            ``model_final.pth`` is meant, or else the last checkpoint; or a checkpoint in such a
            folder.

    Raises:
        InputError: if there is no such model, or its weights cannot be had.
    """
    name = name or DEFAULT
    path = Path(name)
    if path.is_dir():
        return ModelFiles(_config_in(path), str(_weights_in(path)))
    if path.is_file():
        return ModelFiles(_config_in(path.parent), name)
    if len(path.parts) > 1 or path.suffix in (".pth", ".pkl"):
        raise InputError(f"no folder of a run and no weights at {name}")
    model = find_model(name)
    return ModelFiles(str(configs_folder() / model.config), str(fetch_weights(model)))


def configs_folder() -> Path:
    """Return the folder of the configs: beside the package, or in it where it was installed."""
    beside = _PACKAGE.parent / "configs"
    return beside if beside.is_dir() else _PACKAGE / "configs"


def _config_in(folder: Path) -> str:
    config = folder / "config.yaml"
    if not config.is_file():
        raise InputError(f"{folder} is not the folder of a run: it holds no config.yaml")
    return str(config)


def _weights_in(folder: Path) -> Path:
    for path in (folder / "model_final.pth", tagged_checkpoint(folder)):
        if path.is_file():
            return path
    raise InputError(f"{folder} holds no model_final.pth and no last checkpoint")
