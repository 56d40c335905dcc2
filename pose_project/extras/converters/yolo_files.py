"""Where the images of a YOLO dataset lie, which is often not where its file says.

``data.yaml`` is written on one machine and used on another, unpacked into a folder of another name.
Ultralytics' own rules come first; then the folders below the file are searched for the place whose
path ends as the wanted one does.
"""

import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pose_project.data.image_reading import is_image_file
from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

SPLITS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
"""Our name of a split: the keys, and folders, that tools give it."""

_NO_IMAGES = frozenset({"", ".cache", ".csv", ".json", ".md", ".npy", ".txt", ".xml", ".yaml"})
_SPLIT_WORDS = frozenset(word for words in SPLITS.values() for word in words)
_DEEPEST = 6  # levels below data.yaml that are searched


def find_images(data_yaml: Path, content: Mapping[str, Any]) -> tuple[Path, dict[str, list[Path]]]:
    """Return the folder that holds all images, and the images of every split that is named.

    Args:
        data_yaml: the file, for what is relative to it.
        content: of the file: ``path`` and folders, text files of images, or lists of these as
            ``train``, ``val`` and ``test``.

    Returns:
        The root, and {split: its images, each once, in the order of the entries and of names}.

    Raises:
        InputError: if something is not found, naming what was looked for and where, or if two
            different entries lead to the same place.
    """
    data_yaml = data_yaml.resolve()
    roots = _roots(data_yaml.parent, content.get("path"))
    entries = {
        split: _entries(data_yaml, content[key])
        for split, keys in SPLITS.items()
        for key in [next((key for key in keys if content.get(key)), None)]
        if key is not None
    }
    if not entries:
        raise InputError(f"{data_yaml} names no photos: it has none of {', '.join(SPLITS)}")
    places = {
        split: [_find_place(data_yaml, roots, each, split) for each in listed]
        for split, listed in entries.items()
    }
    _check_distinct(data_yaml, entries, places)
    images = {split: _images_of(data_yaml, roots, split, found) for split, found in places.items()}
    return _common_root(roots, images), images


def _roots(beside: Path, declared: Any) -> list[Path]:
    """Return the folders that entries may be relative to: ``path`` first, then the file's own.

    Ultralytics reads a relative ``path`` from the working folder and from its folder of datasets.
    """
    roots = [beside]
    if declared is not None:
        path = str(declared).replace("\\", "/")
        here = Path.cwd()
        bases = (beside, here, here / "datasets", here.parent / "datasets")
        roots = [*(_absolute(base, path) for base in bases), beside]
    return [root for root in dict.fromkeys(roots) if _exists(root)]


def _entries(data_yaml: Path, entry: Any) -> list[str]:
    entries = entry if isinstance(entry, list) else [entry]
    if not entries or not all(isinstance(each, str) and each.strip() for each in entries):
        raise InputError(f"{data_yaml}: {entry!r} is not a folder of photos or a list of such")
    return [each.replace("\\", "/") for each in entries]


def _find_place(data_yaml: Path, roots: Sequence[Path], entry: str, split: str) -> Path:
    """Return the folder or file that an entry names."""
    inside = entry
    while inside.startswith("../"):
        inside = inside[3:]
    looked_at = list(
        dict.fromkeys(_absolute(root, text) for root in roots for text in (entry, inside))
    )
    found = [place for place in looked_at if _exists(place)]
    if found and found[0] != found[0].parent:  # a whole disk is not a dataset
        within = _absolute(data_yaml.parent, inside)
        if found[0] != within and entry != inside and within in found:
            logger.warning("%s: %s is %s; there is also %s", data_yaml, split, found[0], within)
        return found[0]
    place = _best_match(_below(data_yaml.parent, _wanted(entry)[-1:]), entry, split, data_yaml)
    if place is None:
        raise InputError(
            f"{data_yaml}: {split} is {entry!r}, which is not at "
            + " nor at ".join(map(str, looked_at))
            + f", and no folder below {data_yaml.parent} is called so"
        )
    logger.warning("%s: %s is %r, which is not there; it is %s", data_yaml, split, entry, place)
    return place


def _best_match(candidates: Iterable[Path], entry: str, split: str, data_yaml: Path) -> Path | None:
    """Return the candidate whose path agrees with the entry's over most parts from the end.

    One that lies in the folder of another split is none.

    Raises:
        InputError: if several agree equally well.
    """
    wanted = _wanted(entry)
    named = [words for words in SPLITS.values() if set(words) & set(wanted)] or [SPLITS[split]]
    allowed = {word for words in named for word in words}
    best: dict[int, list[Path]] = {}  # by the number of parts that agree
    for candidate in candidates:
        below = candidate.relative_to(data_yaml.parent).parts
        tail = _common_tail(candidate.parts, wanted)
        if tail and not (_SPLIT_WORDS & set(below)) - allowed:
            best.setdefault(tail, []).append(candidate)
    if not best:
        return None
    found = best[max(best)]
    if len(found) > 1:
        raise InputError(
            f"{data_yaml}: {split} is {entry!r}, which may be any of "
            + ", ".join(map(str, sorted(found)[:4]))
            + "; write one of them"
        )
    return found[0]


def _wanted(entry: str) -> tuple[str, ...]:
    """Return the parts of a path that can be looked for; a drive and dots are none."""
    parts = PurePosixPath(entry).parts
    return tuple(part for part in parts if part not in ("/", "..") and not part.endswith(":"))


def _common_tail(parts: Sequence[str], wanted: Sequence[str]) -> int:
    """Return how many parts agree, from the end."""
    pairs = zip(reversed(parts), reversed(wanted), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _below(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield the folder itself and what lies below it that have one of the names."""
    names = set(names)
    if folder.name in names:
        yield folder
    for current, folders, files in _walk(folder):
        if len(current.parts) - len(folder.parts) >= _DEEPEST:
            folders.clear()
        yield from (current / name for name in sorted(names.intersection(folders + files)))


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield what ``os.walk`` does in the order of names: links are followed, hidden ones left."""
    seen = set()
    for current, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(current)
        folders[:] = [] if real in seen else sorted(f for f in folders if not f.startswith("."))
        if real not in seen:
            seen.add(real)
            yield Path(current), folders, sorted(f for f in files if not f.startswith("."))


def _check_distinct(
    data_yaml: Path, entries: Mapping[str, list[str]], places: Mapping[str, list[Path]]
) -> None:
    """Refuse two splits that the file tells apart and that were found at one place."""
    owner: dict[Path, tuple[str, str]] = {}
    for split, found in places.items():
        for entry, place in zip(entries[split], found, strict=True):
            first, other = owner.setdefault(place, (split, entry))
            if other != entry and first != split:
                raise InputError(
                    f"{data_yaml}: {first} ({other!r}) and {split} ({entry!r}) are both found at "
                    f"{place} only"
                )


def _images_of(
    data_yaml: Path, roots: Sequence[Path], split: str, places: Sequence[Path]
) -> list[Path]:
    """Return the images of a split's folders and lists, each once; say what is left out."""
    images: list[Path] = []
    others: Counter[str] = Counter()
    for place in places:
        if place.is_dir():
            files = sorted(folder / name for folder, _, names in _walk(place) for name in names)
            images += [file for file in files if is_image_file(file)]
            suffixes = [file.suffix.lower() for file in files if not is_image_file(file)]
            others.update(suffix for suffix in suffixes if suffix not in _NO_IMAGES)
        elif is_image_file(place):
            images.append(place)
        else:
            images += _listed_images(data_yaml, roots, split, place)
    if others:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
        logger.warning("%s: %s: files that are not read: %s", data_yaml, split, counts)
    if not images:
        raise InputError(
            f"{data_yaml}: there are no photos of {split} in " + ", ".join(map(str, places))
        )
    once = list(dict.fromkeys(images))
    if len(once) < len(images):
        logger.warning(
            "%s: %s: %d photos are named more than once", data_yaml, split, len(images) - len(once)
        )
    return once


def _listed_images(data_yaml: Path, roots: Sequence[Path], split: str, listing: Path) -> list[Path]:
    """Return the images that a text file names, a line each."""
    try:
        text = listing.read_text(encoding="utf-8-sig")
    except ValueError as error:
        raise InputError(f"{listing} is not a list of photos: {error}") from error
    lines = [line.strip().replace("\\", "/") for line in text.splitlines() if line.strip()]
    bases = list(dict.fromkeys([listing.parent, *roots, Path.cwd()]))
    images = [
        next((p for p in (_absolute(base, line) for base in bases) if _is_file(p)), None)
        for line in lines
    ]
    missing = {lines[place] for place, image in enumerate(images) if image is None}
    if missing:
        by_name: dict[str, list[Path]] = {}
        for found in _below(data_yaml.parent, {PurePosixPath(line).name for line in missing}):
            if found.is_file():
                by_name.setdefault(found.name, []).append(found)
        for place, line in enumerate(lines):
            if images[place] is None:
                same_name = by_name.get(PurePosixPath(line).name, [])
                images[place] = _best_match(same_name, line, split, data_yaml)
    lost = [line for line, image in zip(lines, images, strict=True) if image is None]
    if lost:
        raise InputError(
            f"{data_yaml}: {len(lost)} of {len(lines)} photos that {listing} names are not there "
            f"(first: {lost[0]!r}), neither relative to "
            + ", ".join(map(str, bases))
            + f" nor below {data_yaml.parent}"
        )
    return [image for image in images if image is not None]


def _common_root(roots: Sequence[Path], images: Mapping[str, list[Path]]) -> Path:
    """Return the folder that COCO's ``file_name`` will be relative to."""
    folders = {image.parent for found in images.values() for image in found}
    for root in roots:
        if all(folder.is_relative_to(root) for folder in folders):
            return root
    return Path(os.path.commonpath(folders))


def _absolute(base: Path, path: str) -> Path:
    return Path(os.path.normpath(base / path))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
