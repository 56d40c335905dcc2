"""LazyConfigs as tools read them: a file, then ``key=value`` overrides."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml
from detectron2.config import LazyConfig
from omegaconf import DictConfig, OmegaConf

from pose_project.config.overrides import apply_overrides
from pose_project.config.renamed_keys import move_targets, rename_keys
from pose_project.config.settings import add_missing, read_settings
from pose_project.config.train_settings import TrainSettings
from pose_project.utils.errors import InputError, did_you_mean

PARTS = ("model", "optimizer", "lr_multiplier", "dataloader", "train")


def load_config(config_file: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Return the config of a file with overrides applied.

    A config is Python and is run; a saved ``config.yaml`` is read as plain data. Keys of ``train``
    that the file leaves out get their defaults, and keys by an older name their present one.

    Args:
        config_file: a LazyConfig, ``.py``, or a saved one, ``.yaml``.
        overrides: ``key=value`` in Hydra's grammar; see :func:`apply_overrides`.

    Raises:
        InputError: if the file is missing, broken or not a training config, an override cannot be
            applied, or a key of ``train`` is unknown or has a value of the wrong type or range.
    """
    path = Path(config_file)
    if not path.is_file():
        near = did_you_mean(path.name, [each.name for each in path.parent.glob("*.py")])
        raise InputError(f"no config at {config_file}{near}")
    try:
        cfg = _read_yaml(path) if path.suffix in (".yaml", ".yml") else LazyConfig.load(str(path))
    except Exception as error:  # a config is its author's code
        raise InputError(f"{config_file} cannot be loaded: {error!r}") from error
    missing = [part for part in PARTS if not isinstance(cfg.get(part), DictConfig)]
    if missing:
        raise InputError(
            f"{config_file} is not a training config: it defines no {', '.join(missing)}; "
            f"the five parts are {', '.join(PARTS)}"
        )
    rename_keys(cfg)
    add_missing(cfg.train, asdict(TrainSettings()))
    cfg = apply_overrides(cfg, overrides)
    read_settings(TrainSettings, cfg.train, "train")
    return cfg


class _PlainLoader(yaml.SafeLoader):
    """YAML without objects; Detectron2 saves tuples with a tag, which is data as well."""


_PlainLoader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(node, deep=True),
)


def _read_yaml(path: Path) -> DictConfig:
    with open(path, encoding="utf-8") as stream:
        content = yaml.load(stream, Loader=_PlainLoader)  # noqa: S506 - derives from SafeLoader
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no config")
    return OmegaConf.create(move_targets(content), flags={"allow_objects": True})
