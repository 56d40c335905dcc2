"""Whether a copy of COCO is complete and sound, without the network."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from pose_project.extras.coco_download.coco import Archive, Dataset, Split, gigabytes
from pose_project.extras.coco_download.statistics import (
    SplitStatistics,
    count_people,
    read_annotations,
)
from pose_project.extras.download.large_files import part_of
from pose_project.utils.errors import InputError

_EXAMPLES = 3


def check_coco(
    root: Path, dataset: Dataset, what: Sequence[str]
) -> tuple[dict[str, SplitStatistics], list[str]]:
    """Look at everything that is there.

    Args:
        root: the folder that ``$DETECTRON2_DATASETS`` names.
        dataset: what should be there.
        what: names of the archives whose files are wanted.

    Returns:
        statistics: by the name of the split, of each whose annotations can be read.
        faults: a line each, empty if all is well.
    """
    coco = root / "coco"
    faults = [
        fault
        for archive in dataset.archives
        if archive.name in what
        for fault in _check_archive(coco, archive)
    ]
    statistics = {}
    for split in dataset.splits:
        path = coco / split.annotations
        if not path.exists() or not {split.name, "annotations"} & set(what):
            continue
        try:
            content = read_annotations(path)
            statistics[split.name] = count_people(content)
        except InputError as error:
            faults.append(str(error))
            continue
        if "annotations" in what:
            faults += _check_counts(split, statistics[split.name])
        if split.name in what:
            faults += _check_photos(coco / split.folder, content["images"])
    return statistics, faults


def _check_archive(coco: Path, archive: Archive) -> Iterator[str]:
    zip_path = archive.zip_path(coco)
    part = part_of(zip_path)
    if part.exists():
        fetched, total = gigabytes(part.stat().st_size), gigabytes(archive.size)
        yield f"{zip_path.name}: {fetched} of {total} fetched; --download goes on"
    if zip_path.exists() and (fault := archive.published.fault(zip_path)):
        yield f"{zip_path.name} {fault}"
    found = len(archive.files(coco))
    if found < archive.num_files:
        yield f"{archive.folder}: {found:,} of {archive.num_files:,} files"


def _check_counts(split: Split, counts: SplitStatistics) -> Iterator[str]:
    for what, found, expected in (
        ("photos", counts.photos, split.photos),
        ("photos with people", counts.photos_with_people, split.photos_with_people),
    ):
        if found != expected:
            yield f"{split.annotations}: {found:,} of {expected:,} {what}"


def _check_photos(folder: Path, photos: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Compare photos with their annotations; of each only the header is read."""
    missing, damaged = [], []
    for photo in tqdm(photos, unit="photo", desc=f"checking {folder.name}", disable=None):
        path = folder / photo["file_name"]
        try:
            with Image.open(path) as image:
                if image.size != (photo["width"], photo["height"]):
                    damaged.append(path.name)
        except FileNotFoundError:
            missing.append(path.name)
        except Exception:  # Pillow raises nearly anything on damaged files
            damaged.append(path.name)
    for names, fault in (
        (missing, "named by the annotations are missing"),
        (damaged, "cannot be read or have another size than the annotations say"),
    ):
        if names:
            more = " ..." if len(names) > _EXAMPLES else ""
            examples = ", ".join(sorted(names)[:_EXAMPLES])
            count = f"{len(names):,} of {len(photos):,} photos"
            yield f"{folder.name}: {count} {fault}: {examples}{more}"
