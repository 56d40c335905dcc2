"""LazyConfigs as tools read them: a file, then ``key=value`` overrides that must exist."""

import difflib
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from detectron2.config import LazyConfig, instantiate
from detectron2.utils.registry import locate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pose_project.utils.errors import InputError, PoseError

PARTS = ("model", "optimizer", "lr_multiplier", "dataloader", "train")


def load_config(config_file: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Return the config of a file with overrides applied.

    A config is Python and is run; a saved ``config.yaml`` is read as plain data. Overrides set
    values only: one that touches ``_target_``, and so what is called, is refused.

    Args:
        config_file: a LazyConfig, ``.py``, or a saved one, ``.yaml``.
        overrides: ``key=value`` in Hydra's grammar.

    Raises:
        InputError: if the file is missing, broken or not a training config, or an override names a
            key that does not exist; the nearest key is named.
    """
    path = Path(config_file)
    if not path.is_file():
        near = _nearest(path.name, [p.name for p in path.parent.glob("*.py")])
        raise InputError(f"no config at {config_file}{near}")
    try:
        cfg = _read_yaml(path) if path.suffix in (".yaml", ".yml") else LazyConfig.load(str(path))
    except Exception as error:  # a config is its author's code
        raise InputError(f"{config_file} cannot be loaded: {error!r}") from error
    missing = [part for part in PARTS if not isinstance(cfg.get(part), DictConfig)]
    if missing:
        raise InputError(
            f"{config_file} is no training config: it defines no {', '.join(missing)}; "
            f"the five parts are {', '.join(PARTS)}"
        )
    for override in overrides:
        _check_override(cfg, override)
    keys = {override.partition("=")[0] for override in overrides}
    if "train.epochs" in keys and "train.max_iter" not in keys:
        cfg.train.max_iter = None  # the config's own length in iterations would win
    if not overrides:
        return cfg
    try:
        return LazyConfig.apply_overrides(cfg, list(overrides))
    except (OmegaConfBaseException, KeyError, ValueError) as error:
        raise InputError(f"overrides {list(overrides)} cannot be applied: {error}") from error
    except Exception as error:  # Hydra's parser raises a class of its own for each grammar rule
        if type(error).__module__.startswith("hydra"):
            raise InputError(
                "an override cannot be parsed; put a value with spaces or special characters in "
                f"quotes of its own: 'key=\"value\"' ({error})"
            ) from error
        raise


def build(cfg: DictConfig, part: str) -> Any:
    """Return what a part of a config describes.

    Args:
        cfg: the whole config.
        part: dotted key of a lazy call, such as ``dataloader.train``.

    Raises:
        InputError: naming the part, if its arguments do not make one.
    """
    try:
        return instantiate(OmegaConf.select(cfg, part))
    except PoseError:
        raise
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


def _check_override(cfg: DictConfig, override: str) -> None:
    key, separator, _ = override.partition("=")
    if not separator:
        raise InputError(f"{override!r} is not an override; write key=value")
    *parents, last = key.split(".")
    if "_target_" in override or any(part.startswith("_") for part in (*parents, last)):
        raise InputError(f"{key}: overrides set values, not what is called; edit the config file")
    node: Any = cfg
    for depth, part in enumerate([*parents, last]):
        known = list(_known_keys(node))
        if part not in known:
            prefix = ".".join([*parents, last][:depth])
            near = _nearest(part, known, prefix and prefix + ".")
            raise InputError(f"the config has no key {key}{near}")
        node = _child(node, part)


def _known_keys(node: Any) -> Iterator[str]:
    """Yield what can be set at a node: its keys and, where it is a call, the call's arguments."""
    if isinstance(node, ListConfig):
        yield from (str(index) for index in range(len(node)))
    if not isinstance(node, DictConfig):
        return
    yield from (str(key) for key in node)
    target = node.get("_target_")
    target = locate(target) if isinstance(target, str) else target
    if callable(target):
        yield from inspect.signature(target).parameters


def _child(node: DictConfig | ListConfig, part: str) -> Any:
    if isinstance(node, ListConfig):
        return node[int(part)]
    return node.get(part) if part in node else None


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


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
    return OmegaConf.create(content, flags={"allow_objects": True})
