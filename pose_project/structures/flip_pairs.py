"""Which keypoints a mirror exchanges: spelled out by their names, or as a file gives it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# How a side is written in a keypoint's name, left beside right. The longest spelling comes first.
_SIDE_SPELLINGS = (
    (r"left", "right"),
    (r"(?<![a-z])l(?=[_\-. ])", "r"),
    (r"(?<=[_\-. ])l(?![a-z])", "r"),
)


def infer_flip_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the (left, right) pairs that the names spell out: left/right, L_/R_, _l/_r, l-/r-.

    >>> infer_flip_pairs(["nose", "left_eye", "right_eye", "L_Paw", "R_Paw", "tail"])
    (('left_eye', 'right_eye'), ('L_Paw', 'R_Paw'))
    """
    by_lower = {name.lower(): name for name in names}
    pairs = []
    for name in names:
        for left, right in _SIDE_SPELLINGS:
            mirrored = re.sub(left, right, name.lower(), count=1)
            if mirrored != name.lower() and mirrored in by_lower:
                pairs.append((name, by_lower[mirrored]))
                break
    return tuple(pairs)


def read_flip_pairs(
    names: tuple[str, ...], category: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Return the (left, right) pairs that a category gives; those of its names if it gives none.

    They may be pairs of names, or of numbers from 0 or 1; ``{name: name}``; "name,name"; the mirror
    image of each keypoint in turn; or all of it as one text.

    Args:
        names: of the keypoints.
        category: entry of ``categories`` in a COCO JSON.

    Raises:
        ValueError: if it is none of these. What ``KeypointSchema`` checks is left to it.
    """
    given = category.get("flip_pairs")
    if given is None:
        return infer_flip_pairs(names)
    if isinstance(given, str):
        try:
            given = json.loads(given.replace("'", '"'))
        except ValueError as error:
            raise ValueError(f"flip_pairs is the text {given[:40]!r}, not a list") from error
    if isinstance(given, Mapping):
        given = list(given.items())
    pairs = [_two_sides(each) for each in given]
    if len(pairs) == len(names) and not any(pairs):  # the mirror image of each
        return _from_mirror(names, given)
    sides = [(str(a), str(b)) for a, b in (each or () for each in pairs)]
    if all(side in names for pair in sides for side in pair):
        return tuple(sides)
    if not all(side.isdecimal() for pair in sides for side in pair):
        return tuple(sides)  # for the schema to name what it does not know
    numbers = [(int(a), int(b)) for a, b in sides]
    first = _counted_from(names, numbers, category)
    return tuple((_name_at(names, a - first), _name_at(names, b - first)) for a, b in numbers)


def _two_sides(pair: Any) -> tuple[Any, Any] | None:
    """Return both sides of a pair that may be one text; None if it has not two."""
    if isinstance(pair, str):
        separator = next((each for each in ",;|/: " if each in pair.strip()), ",")
        pair = [side.strip() for side in pair.strip().split(separator)]
    return tuple(pair) if isinstance(pair, (list, tuple)) and len(pair) == 2 else None


def _from_mirror(names: tuple[str, ...], mirror: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a list that has the mirror image of each keypoint, by name or number."""
    texts = [str(each) for each in mirror]
    if all(text in names for text in texts):
        places = [names.index(text) for text in texts]
    elif all(text.isdecimal() for text in texts):
        numbers = [int(text) for text in texts]
        places = [number - (0 if 0 in numbers else 1) for number in numbers]
    else:
        raise ValueError(f"flip_pairs {texts[:3]} ... are neither pairs nor keypoints")
    if max(places) >= len(names) or any(places[places[place]] != place for place in places):
        raise ValueError("flip_pairs give for each keypoint another one, but are not a mirror")
    return tuple((names[a], names[b]) for a, b in enumerate(places) if a < b)


def _counted_from(
    names: tuple[str, ...], pairs: Sequence[tuple[int, int]], category: Mapping[str, Any]
) -> int:
    """Return from where pairs of numbers count.

    0 or the number of keypoints, if one of them is there, decide; else how many pairs are then
    those that the names spell out; else the skeleton; else it is 1, as COCO counts.
    """
    numbers = {number for pair in pairs for number in pair}
    if 0 in numbers or len(names) in numbers:
        return 0 if 0 in numbers else 1
    spelled = {frozenset(pair) for pair in infer_flip_pairs(names)}
    agreeing = [
        sum(frozenset(names[n - first] for n in pair) in spelled for pair in pairs)
        for first in (0, 1)
        if all(number - first < len(names) for number in numbers)
    ]
    if len(agreeing) == 2 and agreeing[0] != agreeing[1]:
        return int(agreeing[1] > agreeing[0])
    return 0 if any(0 in line for line in category.get("skeleton") or ()) else 1


def _name_at(names: tuple[str, ...], place: int) -> str:
    if not 0 <= place < len(names):
        raise ValueError(f"flip_pairs number keypoints that are not there: there are {len(names)}")
    return names[place]
