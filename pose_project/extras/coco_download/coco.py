"""COCO 2017 as Detectron2 wants it: ``ROOT/coco/{annotations,train2017,val2017}``.

State is what lies on the disk. ``NAME.zip.part`` is being fetched; ``NAME.zip`` is whole and being
unpacked; a full folder without its archive is done. An archive is deleted only after its files
have been flushed to the disk, so a run that was killed goes on when started again.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pose_project.extras.coco_download.unpack import unpack
from pose_project.extras.download.large_files import Published, RetryPolicy, fetch, part_of
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

COCO_SERVER = "http://images.cocodataset.org"
_PHOTO = r"\d{12}\.jpg"


@dataclass(frozen=True)
class Archive:
    """An official zip file and what it unpacks to.

    Attributes:
        name: what ``--what`` calls it.
        path: below the server's address.
        size: of the zip file, in bytes.
        md5: of the zip file, hexadecimal.
        unpacked: bytes of its files, rounded up; an archive of more than twice as many is refused.
        folder: that all of its files lie in.
        names: regular expression of their names.
        num_files: their number.
    """

    name: str
    path: str
    size: int
    md5: str
    unpacked: int
    folder: str
    names: str
    num_files: int

    @property
    def published(self) -> Published:
        """Size and digest of the zip file."""
        return Published(self.size, "md5", self.md5)

    def zip_path(self, coco: Path) -> Path:
        """Return where the archive is kept while it is needed."""
        return coco / self.path.rpartition("/")[2]

    def files(self, coco: Path) -> set[str]:
        """Return the names of this archive's files that are in its folder."""
        try:
            with os.scandir(coco / self.folder) as entries:
                names = [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return set()
        allowed = re.compile(self.names, re.ASCII)
        return {name for name in names if allowed.fullmatch(name)}

    def is_unpacked(self, coco: Path) -> bool:
        """Return whether nothing is left to do."""
        return not self.zip_path(coco).exists() and len(self.files(coco)) >= self.num_files


@dataclass(frozen=True)
class Split:
    """What the annotations of a split count.

    Attributes:
        name: ``train`` or ``val``.
        photos: in the split.
        photos_with_people: with an annotated person or crowd of people.
    """

    name: str
    photos: int
    photos_with_people: int

    @property
    def folder(self) -> str:
        """The folder of the photos."""
        return f"{self.name}2017"

    @property
    def annotations(self) -> str:
        """The file with people, relative to the dataset's folder."""
        return f"annotations/person_keypoints_{self.name}2017.json"


@dataclass(frozen=True)
class Dataset:
    """Archives in the order in which they are fetched, and the splits that they make up."""

    archives: tuple[Archive, ...]
    splits: tuple[Split, ...]


# Sizes and MD5s as many users of the files publish them; annotations unpack to 834,416,290 bytes,
# and photos hardly shrink in a zip file.
COCO_2017 = Dataset(
    archives=(
        Archive(
            name="annotations",
            path="annotations/annotations_trainval2017.zip",
            size=252_907_541,
            md5="f4bbac642086de4f52a3fdda2de5fa2c",
            unpacked=840_000_000,
            folder="annotations",
            names=r"(captions|instances|person_keypoints)_(train|val)2017\.json",
            num_files=6,
        ),
        Archive(
            name="val",
            path="zips/val2017.zip",
            size=815_585_330,
            md5="442b8da7639aecaf257c1dceb8ba8c80",
            unpacked=850_000_000,
            folder="val2017",
            names=_PHOTO,
            num_files=5_000,
        ),
        Archive(
            name="train",
            path="zips/train2017.zip",
            size=19_336_861_798,
            md5="cced6f7f71b7629ddf16f17bbcfab6b2",
            unpacked=20_000_000_000,
            folder="train2017",
            names=_PHOTO,
            num_files=118_287,
        ),
    ),
    splits=(Split("train", 118_287, 64_115), Split("val", 5_000, 2_693)),
)


def download_coco(
    root: Path,
    archives: Sequence[Archive],
    server: str = COCO_SERVER,
    keep_archives: bool = False,
    policy: RetryPolicy | None = None,
) -> None:
    """Fetch and unpack archives, one after the other; what is done already is left alone.

    Args:
        root: the folder that ``$DETECTRON2_DATASETS`` names; the data go to ``root/coco``.
        archives: of a :class:`Dataset`.
        server: ``http`` or ``https`` address with the official layout below it.
        keep_archives: do not delete a zip file after its files have been unpacked.
        policy: how long to wait for the server.

    Raises:
        InputError: if the disk has too little room, an archive is not the official one, or another
            process is at work in the same folder.
        DownloadError: if the server does not deliver.
        OSError: if the folder cannot be written.
    """
    coco = root / "coco"
    check_space(coco, archives, keep_archives)
    with _alone(coco):
        for archive in archives:
            if archive.is_unpacked(coco):
                logger.info("%s is there already.", archive.folder)
                continue
            zip_path = archive.zip_path(coco)
            if zip_path.exists():
                if fault := archive.published.fault(zip_path):
                    raise InputError(f"{zip_path} {fault}; delete it to fetch it again")
            else:
                url = f"{server.rstrip('/')}/{archive.path}"
                logger.info("Fetching %s, %s.", url, gigabytes(archive.size))
                fetch(url, zip_path, archive.published, policy)
            logger.info("Unpacking %s, %d files.", zip_path, archive.num_files)
            limit = 2 * archive.unpacked
            unpack(zip_path, coco / archive.folder, archive.names, archive.num_files, limit)
            if hasattr(os, "sync"):  # Windows has none
                os.sync()
            if not keep_archives:
                zip_path.unlink()


def check_space(coco: Path, archives: Sequence[Archive], keep_archives: bool) -> None:
    """Raise ``InputError`` if the disk has less room than fetching and unpacking will take."""
    needed = space_needed(coco, archives, keep_archives)
    existing = next(folder for folder in (coco, *coco.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        hint = " (less without --keep-archives)" if keep_archives else ""
        raise InputError(
            f"{coco} needs {gigabytes(needed)} more for archives and their files, and "
            f"{gigabytes(free)} are free{hint}; free some, or take another --root or less --what"
        )


def space_needed(coco: Path, archives: Sequence[Archive], keep_archives: bool) -> int:
    """Return the most bytes that will be taken at any time, on top of what is taken now."""
    taken = most = 0
    for archive in archives:
        if archive.is_unpacked(coco):
            continue
        zip_path = archive.zip_path(coco)
        present = zip_path if zip_path.exists() else part_of(zip_path)
        have = min(present.stat().st_size, archive.size) if present.exists() else 0
        share_left = 1 - min(len(archive.files(coco)) / archive.num_files, 1)
        taken += archive.size - have + round(archive.unpacked * share_left)
        most = max(most, taken)
        if not keep_archives:
            taken -= archive.size
    return most


def gigabytes(size: int) -> str:
    """Return a number of bytes for people to read."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


@contextmanager
def _alone(coco: Path) -> Iterator[None]:
    """Keep a second process from writing to the same files."""
    coco.mkdir(parents=True, exist_ok=True)
    lock = FileLock(coco / ".prepare_coco.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"another process is preparing {coco}; wait for it") from error
    with held:
        yield
