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
_DRAWN = "_poses"


@dataclass(frozen=True)
class Source:
    """A photo, a video or a camera.

    Attributes:
        path: absolute; of a camera where its recording would lie.
        name: the path below the folder that all sources of a run have in common, with "/"; no two
            sources have the same.
        camera: its number; None for a file.
    """

    path: Path
    name: str
    camera: int | None = None

    @property
    def is_video(self) -> bool:
        """Whether it is a camera, or a video by its name."""
        return self.camera is not None or self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def drawn_name(self) -> str:
        """The name of what is drawn: JPEG, PNG and MP4 stay such, other formats become these."""
        suffix = self.path.suffix.lower()
        if self.is_video:
            return self.name if suffix == ".mp4" else f"{self.name}.mp4"
        return self.name if suffix in (".jpg", ".jpeg", ".png") else f"{self.name}.png"

    @property
    def drawn_beside(self) -> Path:
        """Where it is drawn if that is beside the source: ``photo_poses.jpg`` for photo.jpg."""
        drawn = self.path.with_name(Path(self.drawn_name).name)
        return drawn.with_name(f"{drawn.stem}{_DRAWN}{drawn.suffix}")

    def stamp(self) -> list[int]:
        """Return size in bytes and time of the last change: other ones, another content.

        Raises:
            OSError: if the file is gone.
        """
        status = self.path.stat()
        return [status.st_size, status.st_mtime_ns]


def find_camera(inputs: Sequence[str]) -> Source | None:
    """Return the camera that is meant by its number, None if files are meant.

    Raises:
        InputError: if a camera is not the only input.
    """
    numbers = [each for each in inputs if each.isdecimal() and not Path(each).exists()]
    if not numbers:
        return None
    if len(inputs) > 1:
        raise InputError(f"{numbers[0]} is a camera's number: a camera is an input of its own")
    name = f"camera{numbers[0]}"
    return Source(Path.cwd() / name, name, int(numbers[0]))


def find_sources(inputs: Sequence[str], output: Path | None) -> list[Source]:
    """Return the photos and videos meant, sorted by their paths, each once.

    What was drawn beside a photo or video is left out, unless it is named itself.

    Args:
        inputs: files; folders, searched with their sub-folders, but for hidden ones; patterns with
            ``*``, ``?``, ``[]`` and ``**``.
        output: a folder whose files are left out, since an earlier run may have made them; or None.

    Raises:
        InputError: if an input is not there, matches nothing or is neither photo nor video; or two
            sources would be drawn into the same file.
    """
    found: set[Path] = set()
    for each in inputs:
        files = {Path(os.path.abspath(file)) for file in _files_of(each)}
        if output is not None:
            files = {file for file in files if not file.is_relative_to(output.resolve())}
        found |= files
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
    files = [each for each in files if not _is_drawing(each)]
    if not files:
        raise InputError(f"{typed} matches no photos or videos ({_KNOWN})")
    return files


def _refuse_streams(typed: str) -> None:
    if "://" in typed:
        raise InputError(f"{typed} is an address: download the file first")
    if typed == "-":
        raise InputError("- is the standard input, which is not read: give a file")


def _walk(folder: Path, others: Counter[str]) -> Iterator[Path]:
    """Yield photos and videos; count the other files, by suffix, in ``others``."""
    for where, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for each in files:
            path = Path(where, each)
            if each.startswith("."):
                others["hidden"] += 1
            elif _is_drawing(path):
                others["drawn earlier"] += 1
            elif _is_source(path):
                yield path
            else:
                others[path.suffix.lower() or "without a suffix"] += 1


def _is_drawing(path: Path) -> bool:
    """Return whether a file is what was drawn beside another one, which is still there."""
    if not path.stem.endswith(_DRAWN):
        return False
    drawn = path.with_name(f"{path.stem.removesuffix(_DRAWN)}{path.suffix}")
    return drawn.is_file() or drawn.with_suffix("").is_file()


def _is_source(path: Path) -> bool:
    return is_image_file(path) or path.suffix.lower() in VIDEO_SUFFIXES


_KNOWN = " ".join(SUFFIXES + VIDEO_SUFFIXES)
