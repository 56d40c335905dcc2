"""Settings as dataclasses: each key with its default, what it is for and which values it takes.

A dataclass of settings stands beside the code that reads it. From it come the keys of a config
(``dataclasses.asdict``), the check of what a user has set (:func:`read_settings`) and the table in
docs/settings.md.

>>> from dataclasses import dataclass
>>> @dataclass
... class Saving:
...     period: int = setting(5000, "Iterations between checkpoints; 0: only at the end.", low=0)
>>> read_settings(Saving, {"period": 100}, "train.saving")
Saving(period=100)
>>> read_settings(Saving, {"period": -1}, "train.saving")
Traceback (most recent call last):
pose_project.utils.errors.InputError: train.saving.period must be a whole number from 0, got -1
"""

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import Field, field, fields, is_dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pose_project.utils.errors import InputError, did_you_mean

Settings = TypeVar("Settings")

_NAMES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text (a number in quotes)",
    dict: "keys and values",
    NoneType: "null",
}


def setting(
    default: Any,
    doc: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    below: float = math.inf,
    choices: Collection[str] = (),
    accepts: Callable[[Any], bool] = lambda value: True,
    expected: str = "",
) -> Any:
    """Return a field of a settings dataclass; its annotation is the type that values must have.

    Args:
        default: value of the key in a config.
        doc: one line for the docs.
        low: smallest number, also of the numbers in a list.
        high: largest number.
        below: a number that is itself too large.
        choices: the only values, for text.
        accepts: a further condition.
        expected: which values those are, in words, where type and range do not say it.
    """
    metadata = {"doc": doc, "low": low, "high": high, "below": below, "choices": choices}
    metadata |= {"accepts": accepts, "expected": expected}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def read_settings(
    kind: type[Settings], given: Mapping[str, Any] | DictConfig, name: str
) -> Settings:
    """Return what a config has set, with the defaults of the keys that it lacks.

    Args:
        kind: a dataclass of settings.
        given: its part of a config, or keyword arguments.
        name: dotted key of that part, for messages.

    Raises:
        InputError: in one line that names the key, if it is unknown or its value is of the wrong
            type or out of range.
    """
    if isinstance(given, DictConfig):
        try:
            given = OmegaConf.to_container(given, resolve=True)
        except OmegaConfBaseException as error:
            raise InputError(f"{name} refers to a key that is missing: {error}") from error
    if not isinstance(given, Mapping):
        raise InputError(f"{name} must hold {', '.join(_keys(kind))}, got {given!r}")
    for key in given:
        if key not in _keys(kind):
            raise InputError(f"there is no key {name}.{key}{did_you_mean(key, _keys(kind), name)}")
    values = {}
    for each, hint in typed_fields(kind):
        if each.name not in given:
            continue
        value = given[each.name]
        if is_dataclass(hint):
            value = read_settings(hint, value, f"{name}.{each.name}")
        elif not _accepts(hint, each.metadata, value):
            expected = expected_values(hint, each.metadata)
            near = did_you_mean(str(value), each.metadata["choices"])
            raise InputError(f"{name}.{each.name} must be {expected}, got {value!r}{near}")
        values[each.name] = value
    return kind(**values)


def add_missing(given: DictConfig, defaults: Mapping[str, Any]) -> None:
    """Give a config, in place, the keys that it lacks: an earlier version may have saved it."""
    for key, default in defaults.items():
        if key not in given:
            given[key] = default
        elif isinstance(default, Mapping) and isinstance(given[key], DictConfig):
            add_missing(given[key], default)


def _keys(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


def typed_fields(kind: type) -> Iterator[tuple[Field, Any]]:
    """Return the fields of a dataclass of settings, each with its type."""
    hints = get_type_hints(kind)
    return ((each, hints[each.name]) for each in fields(kind))


def _accepts(hint: Any, limits: Mapping[str, Any], value: Any) -> bool:
    """Return whether a value is of the type and in the range of a field."""
    if get_origin(hint) is UnionType:
        return any(_accepts(each, limits, value) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        is_list = isinstance(value, (list, tuple))
        return is_list and all(_accepts(item, limits, each) for each in value)
    if hint in (int, float):
        right_type = isinstance(value, Integral if hint is int else Real)
        if not right_type or isinstance(value, bool) or not math.isfinite(value):
            return False
        return limits["low"] <= value <= limits["high"] and value < limits["below"]
    if not isinstance(value, hint) or (limits["choices"] and value not in limits["choices"]):
        return False
    return limits["accepts"](value)


def expected_values(hint: Any, limits: Mapping[str, Any]) -> str:
    """Return which values a field takes, in words."""
    if limits["expected"]:
        return limits["expected"]
    if get_origin(hint) is UnionType:
        return " or ".join(expected_values(each, limits) for each in get_args(hint))
    if get_origin(hint) is Literal:
        *others, last = get_args(hint)
        return f"{', '.join(others)} or {last}"
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        return f"a list, each {expected_values(item, limits)}"
    if hint not in (int, float):
        return _NAMES[hint]
    low = "" if limits["low"] == -math.inf else f" from {limits['low']:g}"
    high = "" if limits["high"] == math.inf else f" to {limits['high']:.10g}"
    below = "" if limits["below"] == math.inf else f" to {limits['below']:g} (not included)"
    return _NAMES[hint] + low + high + below
