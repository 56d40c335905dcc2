"""Which image of the ground truth a result is of, where results name files and not ids."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pose_project.utils.errors import InputError

_IDS, _NUMBERS = "their ids", "the numbers in their file names"


class ImageNames:
    """The images of a ground truth by id, file name, and name without suffix.

    Args:
        ids: of the images.
        file_names: of the images, in the same order.
    """

    def __init__(self, ids: Sequence[int], file_names: Sequence[str]) -> None:
        self.ids = set(ids)
        self._tables: dict[str, dict[Any, int | None]] = {
            "their file names": {},
            "their file names without a suffix": {},
            _NUMBERS: {},
            _IDS: {str(id_): id_ for id_ in ids},
        }
        names, stems, numbers, _ = self._tables.values()
        for id_, file_name in zip(ids, file_names, strict=True):
            path = _path(file_name)
            for tail in _tails(path):
                _add(names, tail, id_)
            for tail in _tails(path.with_suffix("")) if path.name else ():
                _add(stems, tail, id_)
            if path.stem.isdecimal():
                _add(numbers, int(path.stem), id_)

    def give_ids(self, path: Path, people: Sequence[Any]) -> str:
        """Replace ``image_id`` of results in place; return by what the images were told.

        Whole numbers are ids if all of them are; else they may be the numbers in file names, which
        is what Ultralytics writes. Those that are neither stay.

        Args:
            path: of the results, for messages.
            people: results; what is not a dict is left alone.

        Raises:
            InputError: if a name belongs to no image, or to several.
        """
        keyed = [
            each
            for each in people
            if isinstance(each, dict) and type(each.get("image_id")) in (str, int)
        ]
        texts = {each["image_id"] for each in keyed if isinstance(each["image_id"], str)}
        whole = {each["image_id"] for each in keyed} - texts
        found: dict[Any, int] = {}
        used: set[str] = set()
        for text in sorted(texts):
            how, id_ = self._find(path, text)
            if id_ is not None:
                found[text] = id_
                used.add(how)
        lost = texts - found.keys()
        if lost:
            count = sum(each["image_id"] in lost for each in keyed)
            raise InputError(
                f"{path}: {count} of {len(people)} results are of images that the ground truth "
                f"does not have, such as {min(lost)!r}"
            )
        numbers = {n: self._tables[_NUMBERS].get(n) for n in whole}
        if whole and all(numbers.values()) and (found or not whole <= self.ids):
            found |= numbers
            used.add(_NUMBERS)
        elif whole:
            used.add(_IDS)
        for each in keyed:
            each["image_id"] = found.get(each["image_id"], each["image_id"])
        return " and ".join(sorted(used)) or _IDS

    def knows(self, name: str) -> bool:
        """Return whether a name, or an end of it, is that of an image."""
        return any(tail in t for t in self._tables.values() for tail in _tails(_path(name)))

    def _find(self, path: Path, text: str) -> tuple[str, int | None]:
        """Return the table that knows a name, or the longest end of it, and the id."""
        for how, table in self._tables.items():
            for tail in reversed(_tails(_path(text))):
                if tail in table:
                    id_ = table[tail]
                    if id_ is None:
                        raise InputError(
                            f"{path}: {text!r} is the end of the name of several images of the "
                            "ground truth"
                        )
                    return how, id_
        return "", None


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _tails(path: PurePosixPath) -> list[str]:
    """Return the ends of a path, the shortest first."""
    parts = path.parts
    return ["/".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]


def _add(table: dict[Any, int | None], key: Any, id_: int) -> None:
    table[key] = id_ if table.setdefault(key, id_) == id_ else None
