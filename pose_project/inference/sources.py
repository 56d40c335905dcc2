"""Which photos and videos are meant by what was typed: files, folders and patterns."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_project.data.image_reading import SUFFIXES, is_image_file
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv")


@dataclass(frozen=True)
class Source:
    """A photo or a video.

    Attributes:
        path: absolute.
        name: the path below the folder that all sources of a run have in common, with "/"; no two
            sources have the same.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether it is a video by its name."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def drawn_name(self) -> str:
        """The name of what is drawn: JPEG, PNG and MP4 stay such, other formats become these."""
        suffix = self.path.suffix.lower()
        if self.is_video:
            return self.name if suffix == ".mp4" else f"{self.name}.mp4"
        return self.name if suffix in (".jpg", ".jpeg", ".png") else f"{self.name}.png"

    def stamp(self) -> list[int]:
        """Return size in bytes and time of the last change: other ones, another content.

        Raises:
            OSError: if the file is gone.
        """
        status = self.path.stat()
        return [status.st_size, status.st_mtime_ns]


def find_sources(inputs: Sequence[str], output: Path) -> list[Source]:
    """Return the photos and videos meant, sorted by their paths, each once.

    Args:
        inputs: files; folders, searched with their sub-folders, but for hidden ones; patterns with
            ``*``, ``?``, ``[]`` and ``**``.
        output: a folder whose files are left out, since an earlier run may have made them.

    Raises:
        InputError: if an input is not there, matches nothing or is neither photo nor video; or two
            sources would be drawn into the same file.
    """
    found: set[Path] = set()
    for each in inputs:
        files = {Path(os.path.abspath(file)) for file in _files_of(each)}
        found |= {file for file in files if not file.is_relative_to(output.resolve())}
    if not found:
        raise InputError(f"all inputs are in the output folder {output}")
    common = os.path.commonpath([path.parent for path in found])
    sources = [Source(path, path.relative_to(common).as_posix()) for path in sorted(found)]
    drawn: dict[str, Source] = {}
    for source in sources:
        other = drawn.setdefault(source.drawn_name.lower(), source)
        if other is not source:
            raise InputError(
                f"{other.path} and {source.path} would both be drawn as {source.drawn_name}; "
                "rename one or predict them in two runs"
            )
    return sources


def _files_of(typed: str) -> list[Path]:
    if not typed:
        raise InputError("an --input is empty")
    _refuse_streams(typed)
    path = Path(typed)
    if path.is_dir():
        others: Counter[str] = Counter()
        files = sorted(_walk(path, others))
        if not files:
            raise InputError(f"{typed} holds no photos or videos ({_KNOWN})")
        if others:
            named = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
            logger.info("%s: left out, neither photos nor videos: %s", typed, named)
        return files
    if path.exists():
        if not _is_source(path):
            raise InputError(f"{typed} is neither a photo nor a video by its name ({_KNOWN})")
        return [path]
    if not glob.has_magic(typed):
        raise InputError(f"no file or folder at {typed}")
    matched = [Path(each) for each in glob.iglob(typed, recursive=True)]
    files = [each for each in matched if each.is_file() and _is_source(each)]
    if not files:
        raise InputError(f"{typed} matches no photos or videos ({_KNOWN})")
    return files


def _refuse_streams(typed: str) -> None:
    if "://" in typed:
        raise InputError(f"{typed} is an address: download the file first")
    if typed == "-":
        raise InputError("- is the standard input, which is not read: give a file")
    if typed.isdigit() and not Path(typed).exists():
        raise InputError(f"{typed} is a camera's number: cameras are not read, record a file")


def _walk(folder: Path, others: Counter[str]) -> Iterator[Path]:
    """Yield photos and videos; count the other files, by suffix, in ``others``."""
    for where, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for each in files:
            path = Path(where, each)
            if each.startswith("."):
                others["hidden"] += 1
            elif _is_source(path):
                yield path
            else:
                others[path.suffix.lower() or "without a suffix"] += 1


def _is_source(path: Path) -> bool:
    return is_image_file(path) or path.suffix.lower() in VIDEO_SUFFIXES


_KNOWN = " ".join(SUFFIXES + VIDEO_SUFFIXES)
