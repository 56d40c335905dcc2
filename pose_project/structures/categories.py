"""Several categories with keypoints of their own, in one head: channels are shared by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from pose_project.structures.schema import KeypointSchema


def schema_of_categories(categories: Sequence[Mapping[str, Any]]) -> KeypointSchema:
    """Return the schema of entries of ``categories`` in a COCO JSON; of several, the union.

    Raises:
        ValueError: if one has no keypoints or its lists are inconsistent; see ``merge_schemas``.
    """
    return merge_schemas(
        [(str(each.get("name")), KeypointSchema.from_coco_category(each)) for each in categories]
    )


def merge_schemas(categories: Sequence[tuple[str, KeypointSchema]]) -> KeypointSchema:
    """Return the schema whose keypoints are the union of several categories', by name.

    A keypoint that two categories have under the same name takes the same row, so that what is
    learned of it is shared. An instance has the rows of its own category (``class_rows``); in
    training the others count as unlabelled.

    Args:
        categories: (name, schema) of each category, in the order of the classes.

    Raises:
        ValueError: if a keypoint is mirrored to different ones in two categories.

    >>> from pose_project.structures import KeypointSchema
    >>> hand = KeypointSchema(("thumb", "wrist"))
    >>> arm = KeypointSchema(("wrist", "elbow", "shoulder"))
    >>> both = merge_schemas([("hand", hand), ("arm", arm)])
    >>> both.names
    ('thumb', 'wrist', 'elbow', 'shoulder')
    >>> both.class_rows(1)
    (1, 2, 3)
    """
    if len(categories) == 1:
        return categories[0][1]
    sigmas: dict[str, float] = {}
    mirror: dict[str, tuple[str, str]] = {}
    for category, schema in categories:
        partner = dict(zip(schema.names, schema.hflip_indices, strict=True))
        for name, sigma in zip(schema.names, schema.oks_sigmas, strict=True):
            image = schema.names[partner[name]]
            known, owner = mirror.setdefault(name, (image, category))
            if image != known:
                raise ValueError(
                    f"keypoint {name!r} is mirrored to {known!r} in category {owner!r} and to "
                    f"{image!r} in {category!r}; give one of them another name"
                )
            sigmas.setdefault(name, sigma)
    schemas = [schema for _, schema in categories]
    return KeypointSchema(
        names=tuple(sigmas),
        flip_pairs=_union(schema.flip_pairs for schema in schemas),
        skeleton=_union(schema.skeleton for schema in schemas),
        oks_sigmas=tuple(sigmas.values()),
        sigmas_estimated=any(schema.sigmas_estimated for schema in schemas),
        categories=tuple(categories),
    )


def _union(groups: Sequence[tuple[tuple[str, str], ...]]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys(pair for group in groups for pair in group))
