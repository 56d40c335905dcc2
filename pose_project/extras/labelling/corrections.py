"""What a person made of a draft: the same people again, and what was changed, counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from pose_project.extras.labelling.predictions import points_of, schemas_of
from pose_project.structures import KeypointSchema
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.errors import InputError

SAME_PX = 0.5
"""A point not farther than this, in x and y, was not moved: some tools write whole pixels."""
_FARTHEST = 0.5  # of somebody without an id, mean distance in square roots of the box's area


@dataclass
class Corrections:
    """The corrected annotations, and how they came about.

    Attributes:
        content: in COCO's format, to train on.
        photos: ``corrected`` or ``unchanged``; ``not exported``: of the draft, left out; ``new``:
            not in the draft.
        people: ``kept``, ``removed`` and ``added``.
        points: of people who were kept: ``same``, ``moved``, ``added`` (v was 0), ``removed`` (v is
            0) and ``visibility`` (the same place).
        to_check: the same of the points that were to be checked.
    """

    content: dict[str, Any]
    photos: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    to_check: Counter[str] = field(default_factory=Counter)


def correct(draft: dict[str, Any], photos: Sequence[dict[str, Any]]) -> Corrections:
    """Return a draft with what a person made of it.

    People keep their ids; who has none in the export is found again by where the points are. A box
    is that of the tool where it has one, else the draft's as long as all points are in it; without
    either it is left to be filled in when the file is loaded.

    Args:
        draft: of ``to_draft``; not changed.
        photos: of the readers of this package.

    Raises:
        InputError: if the export has categories or keypoints the draft lacks, or a photo twice.
    """
    schemas = schemas_of(draft)
    category_ids = {name: id_ for id_, (name, _) in schemas.items()}
    images = {each["file_name"]: each for each in draft["images"]}
    drafted: dict[int, dict[int, dict[str, Any]]] = {}
    for each in draft["annotations"]:
        drafted.setdefault(each["image_id"], {})[each["id"]] = each
    result = Corrections({"images": [], "annotations": [], "categories": draft["categories"]})
    next_image = max((each["id"] for each in draft["images"]), default=0) + 1
    next_person = max((each["id"] for each in draft["annotations"]), default=0) + 1
    seen: set[int] = set()
    for photo in photos:
        image = _find_image(photo["file_name"], images)
        if image is None:
            image = {"id": next_image, **{k: photo[k] for k in ("file_name", "width", "height")}}
            next_image += 1
            result.photos["new"] += 1
        if image["id"] in seen:
            raise InputError(f"the export has {photo['file_name']} twice")
        seen.add(image["id"])
        result.content["images"].append(image)
        before = drafted.get(image["id"], {})
        owners = _owners(photo["people"], before, schemas)
        changes = len(before) != len(photo["people"])
        for person, owner in zip(photo["people"], owners, strict=True):
            annotation = _annotation(person, category_ids, schemas)
            annotation["image_id"] = image["id"]
            if owner is None:
                annotation["id"] = next_person
                next_person += 1
                result.people["added"] += 1
                changes = True
            else:
                result.people["kept"] += 1
                changes |= _compare(before[owner], annotation, schemas, result)
            result.content["annotations"].append(annotation)
        removed = set(before) - set(owners)
        result.people["removed"] += len(removed)
        result.photos["corrected" if changes or removed else "unchanged"] += 1
    result.photos["not exported"] = len({each["id"] for each in draft["images"]} - seen)
    # without what happened to nobody
    result.photos, result.people = +result.photos, +result.people
    return result


def _find_image(name: str, images: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the image of the draft that a photo is, by the longest end of its path."""
    parts = name.replace("\\", "/").split("/")
    tails = ["/".join(parts[start:]) for start in range(len(parts))]
    for tail in tails:
        if tail in images:
            return images[tail]
    # tools that flatten folders keep the last part, and uploads get a prefix
    ends = [each for own, each in images.items() if _ends_alike(own, parts[-1])]
    if len(ends) > 1:
        raise InputError(f"{name} of the export is the end of {len(ends)} photos of the draft")
    return ends[0] if ends else None


def _ends_alike(own: str, other: str) -> bool:
    last = own.rpartition("/")[2]
    return other == last or other.endswith(f"-{last}")


def _owners(
    people: Sequence[dict[str, Any]],
    before: dict[int, dict[str, Any]],
    schemas: dict[int, tuple[str, KeypointSchema]],
) -> list[int | None]:
    """Return for each person of an export who it was in the draft."""
    ids = [each["id"] if each["id"] in before else None for each in people]
    # copies of a person have its id as well: the first keeps it
    owners: list[int | None] = [
        id_ if id_ not in ids[:place] else None for place, id_ in enumerate(ids)
    ]
    free = [id_ for id_ in before if id_ not in owners]
    unknown = [place for place, owner in enumerate(owners) if owner is None]
    if not free or not unknown:
        return owners
    costs = np.array(
        [[_distance(people[place], before[id_], schemas) for id_ in free] for place in unknown]
    )
    for row, column in zip(*linear_sum_assignment(np.minimum(costs, 1e6)), strict=True):
        if costs[row, column] <= _FARTHEST:
            owners[unknown[row]] = free[column]
    return owners


def _distance(
    person: dict[str, Any],
    drafted: dict[str, Any],
    schemas: dict[int, tuple[str, KeypointSchema]],
) -> float:
    """Return the mean distance of two people's points, in square roots of the draft's box."""
    category, schema = schemas[drafted["category_id"]]
    if person["category"] != category:
        return np.inf
    away = [
        np.hypot(x - person["points"][name][0], y - person["points"][name][1])
        for name, (x, y, v) in zip(schema.names, points_of(drafted), strict=True)
        if v > 0 and person["points"].get(name, (0, 0, 0))[2] > 0
    ]
    size = np.sqrt(max(drafted["bbox"][2] * drafted["bbox"][3], 1))
    return float(np.mean(away) / size) if away else np.inf


def _annotation(
    person: dict[str, Any],
    category_ids: dict[str, int],
    schemas: dict[int, tuple[str, KeypointSchema]],
) -> dict[str, Any]:
    if person["category"] not in category_ids:
        known = ", ".join(map(repr, category_ids))
        raise InputError(f"the export has a category {person['category']!r}; the draft has {known}")
    category_id = category_ids[person["category"]]
    names = schemas[category_id][1].names
    unknown = [name for name in person["points"] if name not in names]
    if unknown:
        raise InputError(f"the export has a keypoint {unknown[0]!r}, which the draft does not have")
    points = [person["points"].get(name, (0, 0, 0)) for name in names]
    annotation = {
        "category_id": category_id,
        "iscrowd": 0,
        "keypoints": [value for point in points for value in (point if point[2] else (0, 0, 0))],
        "num_keypoints": sum(v > 0 for _, _, v in points),
    }
    if "box" in person:
        annotation["bbox"] = person["box"]
    return annotation


def _compare(
    before: dict[str, Any],
    after: dict[str, Any],
    schemas: dict[int, tuple[str, KeypointSchema]],
    result: Corrections,
) -> bool:
    """Complete a kept person's annotation, count what was changed, and return whether it was."""
    names = schemas[before["category_id"]][1].names
    points = []
    changed = False
    for name, old, new in zip(names, points_of(before), points_of(after), strict=True):
        change = _change(old, new)
        result.points[change] += 1
        if name in before.get("to_check", ()):
            result.to_check[change] += 1
        changed |= change != "same"
        # the draft's place has more digits than some tools give back
        points += [*old[:2], new[2]] if change in ("same", "visibility") else new
    after |= {"id": before["id"], "keypoints": points}
    if "bbox" not in after and (not changed or _holds(before["bbox"], points_of(after))):
        after["bbox"] = before["bbox"]
    if after.get("bbox") == before["bbox"]:
        after["area"] = before["area"]
    else:
        changed |= "bbox" in after
    return changed


def _holds(box_xywh: list[float], points: Sequence[tuple[float, float, int]]) -> bool:
    """Return whether a box holds all labelled points."""
    x, y, width, height = box_xywh
    inside = (
        x <= px + PIXEL_CENTRE <= x + width and y <= py + PIXEL_CENTRE <= y + height
        for px, py, v in points
        if v > 0
    )
    return all(inside)


def _change(old: tuple[float, float, int], new: tuple[float, float, int]) -> str:
    if old[2] == 0 or new[2] == 0:
        return "same" if old[2] == new[2] else "removed" if new[2] == 0 else "added"
    if max(abs(old[0] - new[0]), abs(old[1] - new[1])) > SAME_PX:
        return "moved"
    return "same" if old[2] == new[2] else "visibility"
