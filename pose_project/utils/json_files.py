"""JSON files as objects, quickly, with one clear error."""

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from pose_project.utils.errors import InputError

# Memory at the peak of reading, in sizes of the file; COCO's annotations take ten.
_MEMORY_PER_BYTE = 12


def read_json(path: str | Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        InputError: if it is not JSON, with line and column, or larger than memory allows.
        OSError: if it cannot be read.
    """
    check_json_size(path)
    with collection_paused():
        content = Path(path).read_bytes()
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass  # NaN and numbers of any length, which Python's own takes, or an error it explains
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON: {error}") from error


def check_json_size(path: str | Path) -> None:
    """Raise ``InputError`` if reading a JSON file would take more memory than the machine has."""
    needed = _MEMORY_PER_BYTE * Path(path).stat().st_size
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{path} would take about {needed / 1e9:.0f} GB of memory to read, and this machine "
            f"has {memory / 1e9:.0f} GB"
        )


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep Python from looking for cycles, again and again, among millions of new objects.

    Annotations hold none, and looking for them takes as long as reading.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
