"""From a COCO file and its photos to shards; what is written depends on nothing but these."""

import hashlib
import io
import json
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from tqdm import tqdm

from pose_project.data.annotation_files import load_annotations
from pose_project.data.dataset_dicts import image_path
from pose_project.data.validation import check_image
from pose_project.extras.shards.reading import (
    ANNOTATIONS,
    ARRAYS,
    FORMAT,
    INDEX,
    Shard,
    check_size,
    name_hash,
    open_shards,
)
from pose_project.utils.errors import InputError
from pose_project.utils.files import atomic_path, remove_leftovers, write_text_atomic
from pose_project.utils.json_files import read_json
from pose_project.utils.parts_folder import open_parts_folder
from pose_project.utils.provenance import sha256_of

_PARTS = "parts"  # a record of each shard, until all are there


@dataclass(frozen=True)
class PackedPhoto:
    """A photo to be put into a shard.

    Attributes:
        image: its entry of ``images`` in the annotations.
        path: of its file.
        size: in bytes.
    """

    image: dict[str, Any]
    path: Path
    size: int


def write_shards(json_file: Path, image_root: Path, output: Path, shard_bytes: int) -> None:
    """Write the photos of a COCO file as shards; go on from where an earlier call stopped.

    Args:
        json_file: the annotations.
        image_root: the folder that ``file_name`` is relative to.
        output: a folder; made if it is not there.
        shard_bytes: a shard ends with the photo that reaches this size.

    Raises:
        InputError: if a photo is missing, two have the same name, or ``output`` holds shards of
            something else.
    """
    for path, kind in ((json_file, "file"), (image_root, "folder")):
        if not (path.is_file() if kind == "file" else path.is_dir()):
            raise InputError(f"no {kind} at {path}")
    if output.exists() and not output.is_dir():
        raise InputError(f"--output must be a folder, but {output} is a file")
    settings = {
        "format": FORMAT,
        "annotations": sha256_of(json_file),
        "shard_bytes": shard_bytes,
    }
    if (output / INDEX).exists():
        if read_json(output / INDEX).get("made_from") != settings:
            raise InputError(f"{output} holds other shards; remove them or choose another --output")
        print(f"{output} is complete already; --check {output} compares its checksums")
        return
    annotations = load_annotations(json_file)
    photos = _find_photos(json_file, annotations.images, image_root)
    people: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for each in annotations.content.get("annotations", []):
        people[each.get("image_id")].append(each)
    open_parts_folder(output / _PARTS, settings)
    with atomic_path(output / ANNOTATIONS) as temporary:
        shutil.copyfile(json_file, temporary)
    shards = pack_photos(output, photos, people, settings)
    shutil.rmtree(output / _PARTS)
    total = sum(each.size for each in shards)
    print(f"{len(photos)} photos in {len(shards)} shards, {total / 1e6:.1f} MB, in {output}")


def pack_photos(
    output: Path,
    photos: list[PackedPhoto],
    people: dict[int, list[dict[str, Any]]],
    settings: dict[str, Any],
) -> list[Shard]:
    """Write the tar files that are not there yet, and then the index.

    Args:
        output: the folder.
        photos: in the order of the shards.
        people: the annotations of each photo, by its id.
        settings: what the shards are made from; ``shard_bytes`` ends a shard.

    Returns:
        The shards, those that were there included.
    """
    groups = list(_groups(photos, settings["shard_bytes"]))
    shards, hashes, places = [], [], []
    with tqdm(total=len(photos), unit="photo", disable=None) as progress:
        for number, group in enumerate(groups):
            shard, offsets = _write_or_reuse(output, number, group, people)
            hashes += [name_hash(each.image["file_name"]) for each in group]
            sizes = (each.size for each in group)
            places += [(number, *place) for place in zip(offsets, sizes, strict=True)]
            shards.append(shard)
            progress.update(len(group))
    # last, since a folder with an index is complete
    _write_index(output, settings, shards, np.array(hashes, np.uint64), np.array(places, np.int64))
    return shards


def check_shards(root: Path) -> None:
    """Compare the checksums of all shards of a folder with its index.

    Raises:
        InputError: if one is missing, torn or different; names it.
    """
    folder = open_shards(root)
    if not folder.shards:
        raise InputError(f"there are no shards in {root}")
    for shard in tqdm(folder.shards, unit="shard", disable=None):
        check_size(root / shard.name, shard)
        if shard.sha256 is not None and sha256_of(root / shard.name) != shard.sha256:
            raise InputError(f"{root / shard.name} is damaged: its sha256 is not that of {INDEX}")
    known = "as their index says" if folder.shards[0].sha256 else "whole; there is no index"
    print(f"{len(folder.hashes)} photos in {len(folder.shards)} shards: {known}")


def _find_photos(
    json_file: Path, images: list[dict[str, Any]], image_root: Path
) -> list[PackedPhoto]:
    if not images:
        raise InputError(f"{json_file} has no images")
    photos, missing = [], []
    for image in images:
        check_image(f"{json_file}: image {image['id']}", image)
        path = image_path(image_root, image["file_name"])
        try:
            photos.append(PackedPhoto(image, path, path.stat().st_size))
        except OSError:
            missing.append(path)
    if missing:
        raise InputError(
            f"{len(missing)} of {len(images)} photos are missing, such as {missing[0]}"
        )
    if len({name_hash(each["file_name"]) for each in images}) < len(images):
        raise InputError(f"{json_file}: two images have the same file_name")
    return photos


def _groups(photos: list[PackedPhoto], shard_bytes: int) -> Iterator[list[PackedPhoto]]:
    """Yield the photos of each shard, in their order."""
    group, size = [], 0
    for photo in photos:
        group.append(photo)
        # two headers, the photo, and one block at least for its annotations
        size += _padded(photo.size) + 3 * tarfile.BLOCKSIZE
        if size >= shard_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group


def _write_or_reuse(
    output: Path, number: int, group: list[PackedPhoto], people: dict[int, list[dict[str, Any]]]
) -> tuple[Shard, list[int]]:
    """Return a shard, written unless it is there, and the offset of each photo in it."""
    path = output / f"photos-{number:06d}.tar"
    record = output / _PARTS / f"{path.name}.json"
    if record.exists() and path.exists():
        known = read_json(record)
        shard = Shard(**known["shard"])
        if known["sizes"] == [each.size for each in group] and path.stat().st_size == shard.size:
            return shard, known["offsets"]
    remove_leftovers(path)
    with atomic_path(path) as temporary:
        offsets, digest = _write_tar(temporary, group, people)
    shard = Shard(path.name, path.stat().st_size, digest, len(group))
    sizes = [each.size for each in group]
    known = {"shard": asdict(shard), "offsets": offsets, "sizes": sizes}
    write_text_atomic(record, json.dumps(known))
    return shard, offsets


class _Hashed(io.RawIOBase):
    """A file being written whose sha256 is known at the end."""

    def __init__(self, stream: io.BufferedWriter) -> None:
        self.stream, self.digest, self.position = stream, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.position += len(data)
        return self.stream.write(data)

    def tell(self) -> int:
        return self.position


def _write_tar(
    path: Path, group: list[PackedPhoto], people: dict[int, list[dict[str, Any]]]
) -> tuple[list[int], str]:
    """Write a tar file; return the offset of each photo in it, and its sha256."""
    offsets = []
    with open(path, "wb") as stream:
        hashed = _Hashed(stream)
        with tarfile.open(fileobj=hashed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for photo in group:
                # by its id: WebDataset takes what follows the first dot of a name as a suffix
                key = f"{photo.image['id']:012d}"
                data = photo.path.read_bytes()
                if len(data) != photo.size:
                    raise InputError(f"{photo.path} has changed meanwhile; start again")
                _add(archive, f"{key}{photo.path.suffix.lower()}", data)
                offsets.append(hashed.position - _padded(photo.size))
                sample = {"image": photo.image, "annotations": people[photo.image["id"]]}
                _add(archive, f"{key}.json", orjson.dumps(sample))
                archive.members.clear()  # they would all be kept
        return offsets, hashed.digest.hexdigest()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # time, owner: always the same
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _write_index(
    output: Path,
    settings: dict[str, Any],
    shards: list[Shard],
    hashes: np.ndarray,
    places: np.ndarray,
) -> None:
    order = np.argsort(hashes)
    with atomic_path(output / ARRAYS) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, hashes=hashes[order], places=places[order])
    content = {"format": FORMAT, "shards": [asdict(each) for each in shards], "made_from": settings}
    write_text_atomic(output / INDEX, json.dumps(content, indent=1) + "\n")
