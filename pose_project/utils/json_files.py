"""JSON files as objects, quickly, with one clear error."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from pose_project.data.validation import check_json_size
from pose_project.utils.errors import InputError


def read_json(path: str | Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        InputError: if it is not JSON, with line and column, or larger than memory allows.
        OSError: if it cannot be read.
    """
    check_json_size(str(path))
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
