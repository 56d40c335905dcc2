"""The extras by name: the core asks for them and does without those that were removed."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from pose_project.utils.errors import InputError

EXTRAS = "pose_project.extras"


def find_extra(module: str) -> ModuleType | None:
    """Return a module of an extra, such as ``doctor.examination``; None if it was removed."""
    name = f"{EXTRAS}.{module}"
    return importlib.import_module(name) if is_here(name) else None


def need_extra(module: str, who: str) -> ModuleType:
    """Return a module of an extra.

    Args:
        module: as of ``find_extra``.
        who: cannot do without it, with its verb, such as ``videos need``.

    Raises:
        InputError: if the extra was removed.
    """
    found = find_extra(module)
    if found is None:
        raise InputError(f"{who} pose_project/extras/{module.partition('.')[0]}")
    return found


def find_in_extras(module: str) -> list[ModuleType]:
    """Return the modules of one name, such as ``datasets``, of all extras that have one."""
    if not is_here(EXTRAS):
        return []
    (folder,) = importlib.import_module(EXTRAS).__path__
    names = sorted(path.parent.name for path in Path(folder).glob(f"*/{module}.py"))
    return [importlib.import_module(f"{EXTRAS}.{name}.{module}") for name in names]


def is_here(module: str) -> bool:
    """Return whether a module, named in full, can be imported; nothing heavy is."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the folder that would hold it is not there
        return False
