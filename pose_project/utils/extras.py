"""The extras by name: the core asks for them and does without those that were removed."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

EXTRAS = "pose_project.extras"


def find_extra(module: str) -> ModuleType | None:
    """Return a module of an extra, such as ``doctor.examination``; None if it was removed."""
    name = f"{EXTRAS}.{module}"
    return importlib.import_module(name) if is_here(name) else None


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
