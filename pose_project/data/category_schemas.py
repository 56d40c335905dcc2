"""Categories with keypoints that their file does not list, as the extra ``known_schemas`` knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pose_project.structures import KeypointSchema
from pose_project.utils.extras import find_extra, need_extra

Schemas = Mapping[str, KeypointSchema]
"""By the name of the category."""
_KEYS = ("keypoints", "skeleton", "flip_pairs", "oks_sigmas")


@dataclass(frozen=True)
class Completed:
    """Categories and annotations with what could be completed; entries that could not are the same.

    Attributes:
        categories: in their order.
        annotations: in their order.
        expected: the schema that a category is meant to have, by its place.
        given: places of categories that have their keypoints from ``expected``.
        fitted: what was done about a number of names that is not that of the points, by place.
    """

    categories: list[Any]
    annotations: list[Any]
    expected: dict[int, KeypointSchema]
    given: list[int]
    fitted: dict[int, str]


def read_schemas(given: str) -> Schemas:
    """Return the schema of each category of a published dataset, or of a COCO JSON.

    Raises:
        InputError: if it is neither of them, or the extra is not there.
    """
    completion = need_extra("known_schemas.completion", f"schema {given!r} needs")
    return completion.read_schemas(given)


def complete_categories(
    categories: Sequence[Any], annotations: Sequence[Any], schemas: Schemas
) -> Completed:
    """Return categories and annotations with the keypoints that a schema, or their number, gives.

    Args:
        categories: of a COCO JSON; not changed.
        annotations: of it; not changed.
        schemas: that were given; may be empty.
    """
    completion = find_extra("known_schemas.completion")
    if completion is None:
        return Completed(list(categories), list(annotations), {}, [], {})
    return completion.complete_categories(categories, annotations, schemas)


def schema_hint(categories: Sequence[Any], annotations: Sequence[Any]) -> str:
    """Return, for a message, whose keypoints those of categories without names may be; or ""."""
    completion = find_extra("known_schemas.completion")
    return completion.schema_hint(categories, annotations) if completion else ""


def known_schemas() -> Mapping[str, Any]:
    """Return the ``KnownSchema`` of each published dataset by name; none without that extra."""
    published = find_extra("known_schemas.published")
    return published.KNOWN_SCHEMAS if published else {}


def schemas_of_size(num_keypoints: int) -> list[str]:
    """Return the names of the published datasets that have this number of keypoints.

    >>> schemas_of_size(14)
    ['crowdpose', 'aic']
    """
    known = known_schemas().items()
    return [name for name, each in known if each.schema.num_keypoints == num_keypoints]


def with_schema(category: dict[str, Any], schema: KeypointSchema) -> dict[str, Any]:
    """Return a category with what it lacks of a schema; estimated sigmas are not written."""
    entry = schema.to_coco_category(0, "")
    return {**category, **{k: category.get(k) or entry[k] for k in _KEYS if k in entry}}


def without_schema(category: dict[str, Any]) -> dict[str, Any]:
    """Return a category without keypoints, skeleton, pairs and sigmas."""
    return {key: value for key, value in category.items() if key not in _KEYS}
