"""``key=value`` from a command line: it must name a key that exists, and only sets values."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from detectron2.config import LazyConfig
from detectron2.utils.registry import locate
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import OmegaConfBaseException

from pose_project.config.renamed_keys import rename_override
from pose_project.utils.errors import InputError, did_you_mean


def apply_overrides(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the config with overrides applied.

    Args:
        cfg: the whole config; may be changed.
        overrides: ``key=value`` in Hydra's grammar.

    Raises:
        InputError: if one names a key that does not exist, the nearest of which is named, touches
            ``_target_``, and so what is called, or has no value or more than one.
    """
    overrides = [rename_override(override) for override in overrides]
    for override in overrides:
        _check_override(cfg, override)
    keys = {override.partition("=")[0] for override in overrides}
    if "train.epochs" in keys and "train.max_iter" not in keys:
        cfg.train.max_iter = None  # the config's own length in iterations would win
    try:
        return LazyConfig.apply_overrides(cfg, overrides) if overrides else cfg
    except (OmegaConfBaseException, KeyError, ValueError) as error:
        raise InputError(f"overrides {overrides} cannot be applied: {error}") from error


def _check_override(cfg: DictConfig, override: str) -> None:
    key, separator, _ = override.partition("=")
    if not separator:
        raise InputError(f"{override!r} is not an override; write key=value")
    parts = key.split(".")
    if "_target_" in override or any(part.startswith("_") for part in parts):
        raise InputError(f"{key}: overrides set values, not what is called; edit the config file")
    node: Any = cfg
    for depth, part in enumerate(parts):
        known = list(_known_keys(node))
        if part not in known:
            near = did_you_mean(part, known, ".".join(parts[:depth]))
            raise InputError(f"the config has no key {key}{near}")
        node = _child(node, part)
    _check_value(override)


def _check_value(override: str) -> None:
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise InputError(
            f"the override {override} cannot be parsed; put a value with spaces or special "
            f"characters in quotes of its own: 'key=\"value\"' ({error})"
        ) from error
    if parsed.is_sweep_override():  # Hydra's way to start several runs
        key, _, value = override.partition("=")
        raise InputError(
            f"the override {override} has several values; put text with a comma in quotes of its "
            f"own, '{key}=\"{value}\"', or a list in brackets, '{key}=[{value}]'"
        )


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
