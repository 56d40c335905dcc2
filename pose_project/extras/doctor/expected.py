"""The schemas that a dataset is meant to have: whose they are, and what they fill in."""

from collections.abc import Mapping, Sequence
from typing import Any

from pose_project.structures import KeypointSchema

Schemas = Mapping[str, KeypointSchema]
"""By the name of the category."""


def expected_schemas(
    categories: Sequence[dict[str, Any]], schemas: Schemas
) -> dict[int, KeypointSchema]:
    """Return which schema a category is meant to have, by its place.

    Categories are matched by name. If no name is known, a single schema is that of the only
    category with keypoints, or of the only category.
    """
    names = [str(each.get("name")) for each in categories]
    expected = {place: schemas[name] for place, name in enumerate(names) if name in schemas}
    if expected or len(schemas) != 1:
        return expected
    with_keypoints = [place for place, each in enumerate(categories) if each.get("keypoints")]
    candidates = with_keypoints or range(len(categories))
    (schema,) = schemas.values()
    return {candidates[0]: schema} if len(candidates) == 1 else {}


def with_schema(category: dict[str, Any], schema: KeypointSchema) -> dict[str, Any]:
    """Return a category with what it lacks of a schema; estimated sigmas are not written."""
    entry = {
        "keypoints": list(schema.names),
        "skeleton": [[a + 1, b + 1] for a, b in schema.skeleton_indices],
        "flip_pairs": [list(pair) for pair in schema.flip_pairs],
    }
    if not schema.sigmas_estimated:
        entry["oks_sigmas"] = list(schema.oks_sigmas)
    return {**category, **{key: category.get(key) or value for key, value in entry.items()}}
