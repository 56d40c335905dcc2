"""What Windows refuses, as far as it can be played on Linux."""

import builtins
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def open_files() -> set[str]:
    """Return the files that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # that of the listing itself
            continue
    return found


def check_name(path: Any) -> None:
    """Fail for a name that Windows does not take."""
    name = os.path.basename(os.fspath(path)) if not isinstance(path, int) else ""
    if isinstance(name, str) and (_FORBIDDEN.search(name) or _RESERVED.fullmatch(name)):
        raise OSError(f"Windows refuses the name {name!r}")


@contextmanager
def refusals_of_windows(below: Path) -> Iterator[None]:
    """Refuse, for files below a folder, what Windows refuses.

    To replace, rename or remove a file that is open, to sync one that is open for reading, and
    names with signs in them that stand for something else there.
    """
    replace, rename, unlink, remove = os.replace, os.rename, os.unlink, os.remove
    fsync, make_folder, open_file = os.fsync, os.mkdir, builtins.open
    root = str(below)

    def check(*paths: Any) -> None:
        opened = open_files()
        for path in paths:
            real = os.path.realpath(path)
            if real in opened and real.startswith(root):
                raise PermissionError(f"Windows refuses: {path} is open")

    def moving(move: Any) -> Any:
        def moved(source: Any, target: Any, **more: Any) -> None:
            check(source, target)
            check_name(target)
            move(source, target, **more)

        return moved

    def removing(removes: Any) -> Any:
        def removed(path: Any, **more: Any) -> None:
            if not more:  # shutil.rmtree names them by an open folder
                check(path)
            removes(path, **more)

        return removed

    def synced(number: int) -> None:
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError("Windows refuses to sync what is open for reading")
        fsync(number)

    def opening(path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if mode[0] != "r" and not isinstance(path, int) and str(path).startswith(root):
            check_name(path)
        return open_file(path, mode, *rest, **more)

    def making(path: Any, *rest: Any, **more: Any) -> None:
        check_name(path)
        make_folder(path, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", moving(replace))
        patch.setattr(os, "rename", moving(rename))
        patch.setattr(os, "unlink", removing(unlink))
        patch.setattr(os, "remove", removing(remove))
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "mkdir", making)
        patch.setattr(builtins, "open", opening)
        yield
