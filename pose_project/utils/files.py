"""Files that are either whole or not there."""

import glob
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it is synced and renamed to ``path``.

    After an exception, or a kill at any moment, ``path`` is what it was before.

    Raises:
        OSError: if the folder cannot be written or the disk is full; ``path`` is unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "r+b") as stream:  # Windows syncs only what may be written
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove what writes of ``path`` left that were killed; nobody may be writing it."""
    path = Path(path)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 so that a reader sees the old or the new content, never a part."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_name_of(text: str) -> str:
    """Return a text as a file's name that every system takes; others' signs become "_".

    >>> file_name_of("train.json@photos?schema=hand21")
    'train.json@photos_schema=hand21'
    """
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", text).rstrip(". ") or "_"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
