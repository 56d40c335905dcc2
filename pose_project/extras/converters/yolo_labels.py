"""Where the label files of a YOLO dataset's images lie."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from pose_project.utils.errors import InputError

logger = logging.getLogger(__name__)

_NAMES = ("labels", "label")
_NAMED = 8  # folders in a message


def find_labels(
    data_yaml: Path, root: Path, split: str, images: list[Path]
) -> dict[Path, Path | None]:
    """Return for each image of a split its label file, or None, which is counted and logged.

    All images of one folder have their labels in one place: the first that holds any of them.

    Args:
        data_yaml: for messages.
        root: the folder that holds the dataset.
        split: its name, for messages.
        images: of the split.

    Raises:
        InputError: if no image has a label file, naming where they were looked for.
    """
    by_folder: dict[Path, list[Path]] = {}
    for image in images:
        by_folder.setdefault(image.parent, []).append(image)
    labels: dict[Path, Path | None] = dict.fromkeys(images)
    searched: list[Path] = []
    for folder, members in by_folder.items():
        stems = {image.stem for image in members}
        tried = list(dict.fromkeys(_label_folders(folder, root)))
        place = next((each for each in tried if stems & _text_files(each)), None)
        searched += tried if place is None else [place]
        if place is not None:
            known = _text_files(place)
            labels |= {i: place / f"{i.stem}.txt" for i in members if i.stem in known}
    missing = [image for image, label in labels.items() if label is None]
    if len(missing) == len(images):
        raise InputError(
            f"{data_yaml}: none of the {len(images)} photos of {split} has a label file; "
            f"{images[0].stem}.txt was looked for in "
            + ", ".join(map(str, searched[:_NAMED]))
            + _strangers(searched)
        )
    if missing:
        logger.warning(
            "%s: %d of %d photos of %s have no label file and show nobody (first: %s)",
            *(data_yaml, len(missing), len(images), split, missing[0]),
        )
    return labels


def _label_folders(folder: Path, root: Path) -> Iterator[Path]:
    """Yield where the label files of a folder of images may be, the likeliest first.

    Ultralytics: the last folder ``images`` of the path becomes ``labels``; without one, they lie
    beside the images. Then any folder of the path becomes ``labels`` or has ``labels`` within it.
    """
    parts = folder.parts
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        yield Path(*parts[:place], "labels", *parts[place + 1 :])
    else:
        yield folder
    top = max(1, min(len(root.parts), len(parts) - 2))
    for name in _NAMES:
        for place in range(len(parts), top - 1, -1):
            yield Path(*parts[:place], name, *parts[place:])
            if place > top:
                yield Path(*parts[: place - 1], name, *parts[place:])
    yield folder


def _text_files(folder: Path) -> set[str]:
    """Return the names without suffix of a folder's text files; none if there is no folder."""
    try:
        return {each[:-4] for each in os.listdir(folder) if each.endswith(".txt")}
    except OSError:
        return set()


def _strangers(folders: list[Path]) -> str:
    """Return what a folder of labels holds that belongs to no image, for a message."""
    for folder in folders:
        names = sorted(_text_files(folder)) if folder.name in _NAMES else []
        if names:
            return f"; {folder} holds {len(names)} of other names, such as {names[0]}.txt"
    return ""
