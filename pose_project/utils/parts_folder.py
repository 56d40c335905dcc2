"""The settings that a folder of finished parts was made with, so that a run can go on in it."""

import json
from pathlib import Path
from typing import Any

from pose_project.utils.errors import InputError
from pose_project.utils.files import write_text_atomic

_SETTINGS = "settings.json"


def open_parts_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Make a folder for parts, or make sure that it belongs to a run with the same settings.

    Raises:
        InputError: if it was made with other settings; names them.
    """
    if not (folder / _SETTINGS).exists():
        write_text_atomic(folder / _SETTINGS, json.dumps(settings, indent=2) + "\n")
    check_parts_folder(folder, settings)


def check_parts_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that was made with other settings; write nothing.

    Args:
        folder: need not be there.
        settings: all that the parts depend on, as JSON writes it.

    Raises:
        InputError: if it was made with other settings; names them.
    """
    file = folder / _SETTINGS
    if not file.exists():
        return
    try:
        earlier = dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{file} is damaged: {error}") from error
    settings = json.loads(json.dumps(settings))  # tuples are lists there
    names = sorted({*earlier, *settings})
    other = [name for name in names if earlier.get(name) != settings.get(name)]
    if other:
        raise InputError(
            f"{folder} holds parts of a run with other {' and '.join(other)}; remove it or choose "
            "another output"
        )
