"""The keypoints of categories whose file lists none, or not as many as the annotations have.

A schema may be *given*: the name of a published dataset's, or a COCO JSON whose categories are
taken. Loading and the doctor ask here, so that both see the same categories and annotations.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pose_project.data.category_schemas import (
    Completed,
    Schemas,
    schemas_of_size,
    with_schema,
    without_schema,
)
from pose_project.extras.known_schemas.published import KNOWN_SCHEMAS
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import read_json

# Where COCO-WholeBody keeps the keypoints that are not the body's, in the order of its 133.
_WHOLE_BODY_PARTS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
_FEWEST = 2  # annotations of one length are enough to doubt the names


def read_schemas(given: str) -> Schemas:
    """Return the schema of each category with keypoints.

    Args:
        given: a name of ``KNOWN_SCHEMAS``, or the path of a JSON file in COCO's format, of which
            only the categories are read.

    Raises:
        InputError: if it is neither, or the file has no keypoints or wrong ones.
    """
    if given in KNOWN_SCHEMAS:
        known = KNOWN_SCHEMAS[given]
        return {known.category: known.schema}
    if not Path(given).is_file():
        raise InputError(
            f"schema {given!r} is neither built in ({', '.join(KNOWN_SCHEMAS)}) nor a JSON file"
        )
    content = read_json(given)
    categories = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(categories, list):
        raise InputError(f"schema {given} is not in COCO's format: no list under 'categories'")
    schemas: dict[str, KeypointSchema] = {}
    for each in categories:
        if not isinstance(each, dict) or not each.get("keypoints"):
            continue
        name = str(each.get("name"))
        if name in schemas:
            raise InputError(f"schema {given} has two categories named {name!r}")
        try:
            schemas[name] = KeypointSchema.from_coco_category(each)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"schema {given}: keypoints of {name!r}: {error}") from error
    if not schemas:
        raise InputError(f"schema {given} has no category with names under 'keypoints'")
    return schemas


def complete_categories(
    categories: Sequence[Any], annotations: Sequence[Any], schemas: Schemas
) -> Completed:
    """Return categories and annotations with the keypoints that a schema, or their number, gives.

    Args:
        categories: of a COCO JSON; not changed.
        annotations: of it; not changed.
        schemas: that were given; may be empty.
    """
    completed, joined = list(categories), list(annotations)
    if any(schema.num_keypoints == 133 for schema in schemas.values()):
        joined = [with_whole_body(each) for each in annotations]
    points = _num_points(categories, joined)
    expected = expected_schemas(categories, schemas, points)
    given, fitted = [], {}
    for place, category in enumerate(categories):
        names = category.get("keypoints") if isinstance(category, dict) else None
        num_points, count = points.get(place, (0, 0))
        num_names = len(names) if isinstance(names, list) else 0
        schema = expected.get(place)
        if schema is not None and (not names or num_names != num_points == schema.num_keypoints):
            completed[place] = with_schema(without_schema(category) if names else category, schema)
            given.append(place)
        elif schema is None and num_names and num_names != num_points and count >= _FEWEST:
            completed[place], fitted[place] = _fit(category, num_points)
    return Completed(completed, joined, expected, given, fitted)


def expected_schemas(
    categories: Sequence[Any], schemas: Schemas, num_points: Mapping[int, tuple[int, int]]
) -> dict[int, KeypointSchema]:
    """Return which schema a category is meant to have, by its place.

    Categories are matched by name. If no name is known, a single schema is that of the categories
    with keypoints, or else of those with so many points, or of the only one.

    Args:
        categories: of a COCO JSON.
        schemas: that are given.
        num_points: see ``_num_points``.
    """
    objects = {place: each for place, each in enumerate(categories) if isinstance(each, dict)}
    names = {place: str(each.get("name")) for place, each in objects.items()}
    expected = {place: schemas[name] for place, name in names.items() if name in schemas}
    if expected or len(schemas) != 1:
        return expected
    (schema,) = schemas.values()
    sized = {p for p in objects if num_points.get(p, (0, 0))[0] == schema.num_keypoints}
    candidates = [place for place, each in objects.items() if each.get("keypoints")]
    candidates = candidates or sorted(sized) or list(objects)
    return (
        dict.fromkeys(candidates, schema)
        if len(candidates) == 1 or sized.issuperset(candidates)
        else {}
    )


def with_whole_body(annotation: Any) -> Any:
    """Return an annotation of COCO-WholeBody with its 133 keypoints in one list.

    Its files have the body's in ``keypoints`` and the others in keys of their own, whose v is a
    confidence in places: whatever is more than 0 and not 1 counts as visible.
    """
    if not isinstance(annotation, dict):
        return annotation
    parts = [annotation.get(key) for key in ("keypoints", *_WHOLE_BODY_PARTS)]
    lengths = [3 * count for count in (17, 6, 68, 21, 21)]
    if [len(each) if isinstance(each, list) else 0 for each in parts] != lengths:
        return annotation
    values = [value for part in parts for value in part]
    is_float = [type(v) is float and v not in (0, 1, 2) for v in values[2::3]]
    values[2::3] = [
        2 if odd and v > 0 else v for odd, v in zip(is_float, values[2::3], strict=True)
    ]
    joined = {key: value for key, value in annotation.items() if key != "num_keypoints"}
    return {**joined, "keypoints": values}


def schema_hint(categories: Sequence[Any], annotations: Sequence[Any]) -> str:
    """Return, for a message, whose keypoints those of categories without names may be; or ""."""
    counts = {count for count, _ in _num_points(categories, annotations).values()}
    if len(counts) != 1:
        return ""
    (count,) = counts
    fitting = schemas_of_size(count)
    which = f"which those of {' and '.join(fitting)} have" if fitting else "which none built in has"
    return (
        f"its annotations have {count} points, {which}: give custom.schema=NAME in training, "
        "--schema NAME in other tools, or a JSON file with the category in place of a name"
    )


def _num_points(
    categories: Sequence[Any], annotations: Sequence[Any]
) -> dict[int, tuple[int, int]]:
    """Return the number of points that all of a category's annotations have, and how many have it.

    Categories whose annotations differ, or have none, are left out.
    """
    place_of = {
        each["id"]: place
        for place, each in enumerate(categories)
        if isinstance(each, dict) and type(each.get("id")) is int
    }
    lengths: dict[int, dict[int, int]] = {}
    for each in annotations:
        keypoints = each.get("keypoints") if isinstance(each, dict) else None
        if isinstance(keypoints, list) and keypoints:
            category = each.get("category_id")
            place = place_of.get(category) if type(category) is int else None
            found = lengths.setdefault(place, {}) if place is not None else {}
            found[len(keypoints)] = found.get(len(keypoints), 0) + 1
    return {
        place: (length // 3, count)
        for place, found in lengths.items()
        if len(found) == 1
        for length, count in found.items()
        if length % 3 == 0
    }


def _fit(category: dict[str, Any], num_points: int) -> tuple[dict[str, Any], str]:
    """Return a category with as many names as its annotations have points, and what was done.

    Too many: the first are taken. Too few: those of the only published dataset that begins with
    these, else numbers follow them. Pairs and lines between names that remain stay.
    """
    names = tuple(str(each) for each in category["keypoints"])
    said = f"{len(names)} keypoint names for {num_points} points"
    known = {name: KNOWN_SCHEMAS[name].schema for name in schemas_of_size(num_points)}
    longer = [name for name, each in known.items() if each.names[: len(names)] == names]
    if len(longer) == 1:
        done = f"{said}: those of {longer[0]}, which begins with these, are taken"
        return with_schema(without_schema(category), known[longer[0]]), done
    more = tuple(f"keypoint_{number}" for number in range(len(names) + 1, num_points + 1))
    kept = (*names[:num_points], *more)
    try:
        given = KeypointSchema.from_coco_category(category)
        schema = KeypointSchema(
            kept, *(_within(kept, each) for each in (given.flip_pairs, given.skeleton))
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return {**without_schema(category), "keypoints": list(kept)}, said
    dropped = ", ".join(names[num_points:][:3]) + ", ..." * (len(names) > num_points + 3)
    done = (
        f"the others are called {more[0]} and so on"
        if more
        else f"the first are taken, without {dropped}"
    )
    return with_schema(without_schema(category), schema), f"{said}: {done}"


def _within(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in pairs if set(pair) <= set(names))
