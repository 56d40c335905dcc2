"""Copies of files behind an address, such as s3://bucket/name, in the cache of this machine."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from pose_project.utils.cache import cache_folder
from pose_project.utils.errors import DownloadError, InputError
from pose_project.utils.files import atomic_path, file_name_of, write_text_atomic
from pose_project.utils.provenance import sha256_of

INDEX = "shards.json"  # of a folder of shards
_ORIGIN = "origin.txt"
_BLOCK = 1 << 22


class Place(NamedTuple):
    """Part of a file.

    Attributes:
        path: of the file, which may be one of ``local_folder`` that is not there yet.
        offset: of its first byte.
        size: in bytes.
        sha256: of the whole file, if known.
    """

    path: str
    offset: int
    size: int
    sha256: str | None

    def read(self) -> bytes:
        """Return the bytes; the file is fetched if it is not there yet.

        Raises:
            InputError: if the file ends before; and see ``fetch_into``.
            OSError: if it is missing.
        """
        with open(fetch_into(Path(self.path), self.sha256), "rb") as stream:
            stream.seek(self.offset)
            data = stream.read(self.size)
        if len(data) != self.size:
            raise InputError(
                f"{self.path} is torn: it ends before byte {self.offset + self.size:,}"
            )
        return data


def is_address(location: str) -> bool:
    """Return whether a location is not a path, but something that fsspec opens."""
    return "://" in location


def local_folder(address: str) -> Path:
    """Return the folder of the cache for the files below an address; made if it is not there."""
    address = address.rstrip("/")
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    folder = cache_folder() / "remote" / f"{file_name_of(address.rpartition('/')[2])}-{digest}"
    if not (folder / _ORIGIN).exists():
        write_text_atomic(folder / _ORIGIN, address)
    return folder


def is_fetched(folder: Path) -> bool:
    """Return whether the files of a folder come from an address."""
    return (folder / _ORIGIN).exists()


def local_copies(json_file: str, image_root: str) -> tuple[str, str]:
    """Return where annotations and images are on this machine; they may be addresses.

    The annotations and the index of the images' shards are fetched, shards when they are read.
    """
    if is_address(json_file):
        folder, _, file = json_file.rpartition("/")
        json_file = str(fetch_into(local_folder(folder) / file))
    if is_address(image_root):
        image_root = str(local_folder(image_root))
        fetch_into(Path(image_root, INDEX))
    return json_file, image_root


def fetch_into(file: Path, sha256: str | None = None) -> Path:
    """Return a file of ``local_folder``, copied from its address if it is not there yet.

    Several processes may ask for it: one copies, the others wait.

    Args:
        file: in such a folder; any other file is returned as it is.
        sha256: what it must have, where that is known.

    Raises:
        InputError: if the address has no such file, another one, or cannot be opened.
        DownloadError: if it stops half way.
    """
    origin = file.parent / _ORIGIN
    if file.exists() or not is_fetched(file.parent):
        return file
    address = f"{origin.read_text(encoding='utf-8')}/{file.name}"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            _copy(address, file, sha256)
    return file


def _copy(address: str, file: Path, sha256: str | None) -> None:
    import fsspec  # late: its file systems take a while

    with atomic_path(file) as temporary:
        try:
            source = fsspec.open(address, "rb").open()
        except FileNotFoundError as error:
            if isinstance(error.__cause__, OSError):  # fsspec says so, too, if nobody answers
                raise DownloadError(f"{address} cannot be opened: {error.__cause__}") from error
            raise InputError(f"there is no {address}") from error
        except (ImportError, ValueError) as error:  # a file system that is not installed, or known
            raise InputError(f"{address} cannot be opened: {error}") from error
        except Exception as error:  # each file system has errors of its own
            raise DownloadError(f"{address} cannot be opened: {error}") from error
        try:
            with source, open(temporary, "wb") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
        except Exception as error:
            raise DownloadError(f"{address} stopped half way: {error}; start again") from error
        if sha256 is not None and (found := sha256_of(temporary)) != sha256:
            raise InputError(f"{address} has sha256 {found}, not {sha256} as its index says")
