"""Photos in tar files of WebDataset's layout, read at random places by an index.

A folder of shards holds tar files, each photo beside its JSON under a common key, and what the
command ``shard`` writes with them:

====================  ==============================================================================
file                  holds
====================  ==============================================================================
``NAME-000000.tar``   ``KEY.jpg`` (or another suffix) and ``KEY.json``, one pair after the other
``shards.json``       name, size in bytes, sha256 and number of photos of each tar file
``shards.npz``        of each photo: a hash of its ``file_name``, its shard, offset and size
``annotations.json``  the annotations, in COCO's format, as they were
====================  ==============================================================================

Tar files without an index, such as those that the ``webdataset`` library writes, are indexed by
the names of their members. Since any photo can be read by itself, the order of training and its
resuming are those of a folder of photos.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_project.data.image_reading import is_image_file
from pose_project.extras.shards.remote_files import INDEX, Place, fetch_into, is_fetched
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import read_json

ARRAYS, ANNOTATIONS = "shards.npz", "annotations.json"
FORMAT = 1
_END = 2 * tarfile.BLOCKSIZE  # a tar file ends with two blocks of zeros


@dataclass(frozen=True)
class Shard:
    """A tar file as the index knows it.

    Attributes:
        name: of the file.
        size: in bytes.
        sha256: hexadecimal, or None without an index.
        photos: how many it holds.
    """

    name: str
    size: int
    sha256: str | None
    photos: int


class ShardFolder:
    """The photos of a folder of shards by their names.

    Args:
        root: a folder, or one of ``remote_files.local_folder``.
        shards: its tar files, in order.
        hashes: (N,) uint64, ascending, ``name_hash`` of the photos.
        places: (N, 3) int64 as (index of the shard, offset, size in bytes).
    """

    def __init__(
        self, root: Path, shards: Sequence[Shard], hashes: np.ndarray, places: np.ndarray
    ) -> None:
        self.root = root
        self.shards = list(shards)
        self.hashes = hashes
        self.places = places

    def places_of(self, file_names: Sequence[str]) -> list[Place | None]:
        """Return where photos are, None for those that are in no tar file."""
        wanted = np.array([name_hash(each) for each in file_names], np.uint64)
        if not len(self.hashes):
            return [None] * len(wanted)
        rows = np.searchsorted(self.hashes, wanted).clip(max=len(self.hashes) - 1)
        is_there = (self.hashes[rows] == wanted).tolist()
        paths = [(str(self.root / each.name), each.sha256) for each in self.shards]
        return [
            Place(paths[number][0], offset, size, paths[number][1]) if there else None
            for there, (number, offset, size) in zip(
                is_there, self.places[rows].tolist(), strict=True
            )
        ]

    def check(self) -> None:
        """Raise ``InputError`` if a tar file is torn, or missing and not to be fetched."""
        for shard in self.shards:
            path = self.root / shard.name
            if not path.exists() and not is_fetched(self.root):
                raise InputError(f"{path} is missing: {INDEX} lists it with {shard.photos} photos")
            if path.exists():
                check_size(path, shard)


def check_size(path: Path, shard: Shard) -> None:
    """Raise ``InputError`` unless a tar file is as large as the index says."""
    size = path.stat().st_size
    if size != shard.size:
        raise InputError(
            f"{path} is torn or another file: it has {size:,} bytes, {INDEX} says {shard.size:,}"
        )


def is_shard_folder(root: Path) -> bool:
    """Return whether a folder holds shards instead of photos."""
    return (root / INDEX).is_file() or any(root.glob("*.tar"))


def open_shards(root: Path) -> ShardFolder:
    """Return the shards of a folder.

    Raises:
        InputError: if its index is damaged, or a tar file is missing or torn.
    """
    index, arrays = fetch_into(root / INDEX), fetch_into(root / ARRAYS)
    folder = _read_index(root, index, arrays) if index.exists() else _scan(root)
    folder.check()
    return folder


def find_photos(root: Path, file_names: Sequence[str]) -> list[Place]:
    """Return where photos are in the shards of a folder.

    Raises:
        InputError: if one of them is in no shard; and see ``open_shards``.
    """
    places = open_shards(root).places_of(file_names)
    missing = [name for name, place in zip(file_names, places, strict=True) if place is None]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(places)} photos are not in the shards in {root}, such as "
            f"{missing[0]}"
        )
    return places


def name_hash(file_name: str) -> int:
    """Return 64 bits that stand for a photo's ``file_name`` in an index."""
    return int.from_bytes(hashlib.blake2b(file_name.encode(), digest_size=8).digest(), "little")


def iterate_members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the files in a tar file, in their order.

    Raises:
        InputError: if it is not a tar file, or torn.
    """
    try:
        with open(path, "rb") as stream:
            stream.seek(max(path.stat().st_size - _END, 0))
            is_whole = stream.read() == bytes(_END)
        if not is_whole:
            raise InputError(f"{path} is torn: it does not end as a tar file does")
        with tarfile.open(path) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # they would all be kept
                if member.isfile():
                    yield member
    except tarfile.TarError as error:
        raise InputError(f"{path} is torn or not a tar file: {error}") from error


def _read_index(root: Path, index: Path, arrays: Path) -> ShardFolder:
    content = read_json(index)
    try:
        if content["format"] != FORMAT:
            raise InputError(f"{index} has format {content['format']}, this reads {FORMAT}")
        shards = [Shard(**each) for each in content["shards"]]
        with np.load(arrays, allow_pickle=False) as loaded:
            hashes, places = loaded["hashes"], loaded["places"]
    except InputError:
        raise
    except Exception as error:  # NumPy's reader raises what a damaged archive leads to
        raise InputError(f"{index} or {arrays.name} is damaged: {error}") from error
    if len(hashes) != len(places) or len(hashes) != sum(each.photos for each in shards):
        raise InputError(f"{index} and {arrays.name} are not of the same photos")
    return ShardFolder(root, shards, hashes, places)


def _scan(root: Path) -> ShardFolder:
    shards, hashes, places = [], [], []
    for path in sorted(root.glob("*.tar")):
        before = len(hashes)
        photos = (each for each in iterate_members(path) if is_image_file(Path(each.name)))
        for member in photos:
            hashes.append(name_hash(member.name))
            places.append((len(shards), member.offset_data, member.size))
        shards.append(Shard(path.name, path.stat().st_size, None, len(hashes) - before))
    order = np.argsort(np.array(hashes, np.uint64))
    table = np.array(places, np.int64).reshape(-1, 3)
    return ShardFolder(root, shards, np.array(hashes, np.uint64)[order], table[order])
