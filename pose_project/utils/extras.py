"""Modules of ``pose_project/extras``, whose folders may have been removed."""

import importlib
from importlib.util import find_spec
from types import ModuleType

EXTRAS = "pose_project.extras"


def is_here(module: str) -> bool:
    """Return whether a module can be imported; nothing but its packages is."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the folder that would hold it is not there
        return False


def find_extra(module: str) -> ModuleType | None:
    """Return a module of an extra, such as ``doctor.examination``; None if it was removed."""
    name = f"{EXTRAS}.{module}"
    return importlib.import_module(name) if is_here(name) else None
