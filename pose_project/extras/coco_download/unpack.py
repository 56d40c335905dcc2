"""Zip archives of one flat folder, unpacked file by file; nothing else is ever written.

Every member is looked at before the first is written. The names are an allow list, so neither
``..`` nor absolute names, links, devices or nested folders have to be recognised.
"""

import logging
import os
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from tqdm import tqdm

from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
_ENCRYPTED = 0x1
# What a damaged or hostile archive makes zipfile and zlib raise.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def unpack(archive: Path, folder: Path, names: str, num_files: int, max_bytes: int) -> None:
    """Unpack an archive, going on from where an earlier call stopped.

    A file that is already there is kept if its size and CRC are those of its member; each other
    one is written under another name and renamed, so that no half file has its final name.

    Args:
        archive: a zip file whose members are all ``<folder's name>/<file name>``.
        folder: for the files; made if it is not there.
        names: regular expression of the file names that are allowed; none with a separator.
        num_files: how many files the archive has.
        max_bytes: the most that they may take unpacked.

    Raises:
        InputError: if the archive is damaged or holds anything else; in the latter case nothing
            has been written.
        OSError: if the disk is full or the folder cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked_members(opened, folder.name, names, num_files, max_bytes)
            folder.mkdir(parents=True, exist_ok=True)
            for member in tqdm(
                members, unit="file", desc=f"unpacking {archive.name}", disable=None
            ):
                if not _is_intact(folder / Path(member.filename).name, member):
                    _extract(opened, member, folder)
    except InputError:
        raise
    except (*_UNREADABLE, ValueError) as error:
        raise InputError(f"{archive} is damaged: {error}; delete it to fetch it again") from error


def _checked_members(
    archive: zipfile.ZipFile, folder: str, names: str, num_files: int, max_bytes: int
) -> list[zipfile.ZipInfo]:
    """Return the archive's files, all of them as expected."""
    allowed = re.compile(f"{re.escape(folder)}/(?:{names})", re.ASCII)
    files: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        refused = f"{archive.filename} is refused: its member {member.filename!r}"
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.filename == f"{folder}/" and kind in (0, stat.S_IFDIR):
            continue
        if not allowed.fullmatch(member.filename):
            raise InputError(f"{refused} is not a file that belongs into {folder}/")
        if kind not in (0, stat.S_IFREG):
            raise InputError(f"{refused} is a link or device")
        if member.flag_bits & _ENCRYPTED:
            raise InputError(f"{refused} is encrypted")
        if member.filename.lower() in files:
            raise InputError(f"{refused} is there twice")
        files[member.filename.lower()] = member
    if len(files) != num_files:
        raise InputError(
            f"{archive.filename} is refused: it has {len(files):,} files, not {num_files:,}"
        )
    if (total := sum(each.file_size for each in files.values())) > max_bytes:
        raise InputError(
            f"{archive.filename} is refused: it would unpack to {total:,} bytes, more than "
            f"{max_bytes:,}"
        )
    return list(files.values())


def _is_intact(path: Path, member: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != member.file_size:
        return False
    crc = 0
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc == member.CRC


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    """Write one file; ``zipfile`` gives no more bytes than declared and checks the CRC."""
    temporary = folder / ".unpacking"  # one name, so that a kill leaves at most one behind
    temporary.unlink(missing_ok=True)
    with archive.open(member) as source, open(temporary, "xb") as sink:
        shutil.copyfileobj(source, sink, _BLOCK)
        if sink.tell() != member.file_size:
            raise zipfile.BadZipFile(f"{member.filename} is shorter than declared")
    os.replace(temporary, folder / Path(member.filename).name)
