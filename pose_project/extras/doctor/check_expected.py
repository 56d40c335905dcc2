"""Comparison with the schemas that a dataset is meant to have."""

from collections.abc import Iterable, Iterator
from itertools import chain

from pose_project.data.category_schemas import Schemas, known_schemas
from pose_project.extras.doctor.check_categories import (
    check_categories_together,
    check_schemas,
    check_skeletons,
    schema_of,
)
from pose_project.extras.doctor.check_structure import check_entries
from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.findings import ERROR, Finding, printable
from pose_project.extras.doctor.problems import PROBLEMS
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError
from pose_project.utils.json_files import read_json


def read_schemas(given: str) -> Schemas:
    """Return the schema of each category with keypoints.

    Args:
        given: a name of ``known_schemas()``, or the path of a JSON file in COCO's format, of which
            only the categories are read.

    Raises:
        InputError: if the file is not JSON, has no keypoints, or they are wrong.
        OSError: if it cannot be read.
    """
    known = known_schemas()
    if given in known:
        return {known[given].category: known[given].schema}
    content = read_json(given)
    categories = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(categories, list):
        raise InputError(f"--schema {given} is not in COCO's format: no list under 'categories'")
    dataset = Dataset({"images": [], "annotations": [], "categories": categories})
    checks = (check_entries, check_schemas, check_categories_together, check_skeletons)
    for finding in chain.from_iterable(check(dataset) for check in checks):
        # lines of another skeleton would be dropped in silence
        if finding.problem.severity is ERROR or finding.problem.code == "skeleton-range":
            raise InputError(f"--schema {given} cannot be used: {finding}")
    schemas: dict[str, KeypointSchema] = {}
    for category in dataset.categories.objects:
        name, schema = str(category.get("name")), schema_of(category)
        if name in schemas:
            raise InputError(f"--schema {given} has two categories named {printable(name)!r}")
        if schema is not None:
            schemas[name] = schema
    return schemas


def check_matched(dataset: Dataset) -> Iterator[Finding]:
    """Find categories that have no counterpart, and those that lack the keypoints' names."""
    if not dataset.schemas:
        return
    used = {id(schema) for schema in dataset.expected.values()}  # equal ones may have two names
    missing = [name for name, schema in dataset.schemas.items() if id(schema) not in used]
    others = [
        str(each.get("name"))
        for row, each in enumerate(dataset.categories.objects)
        if each.get("keypoints") and row not in dataset.expected
    ]
    parts = (("only in the schema", missing), ("only in the file", others))
    detail = "; ".join(f"{where}: {_few(map(repr, names))}" for where, names in parts if names)
    if detail:
        yield Finding(PROBLEMS["schema-categories"], "file", detail=detail)
    for row in dataset.completed:
        names = dataset.listed[row].get("keypoints")
        if not names:
            yield from dataset.categories.found("schema-absent", [row])
        else:
            detail = f"{len(names)} instead of {dataset.expected[row].num_keypoints}"
            yield from dataset.categories.found("schema-number", [row], detail)


def check_expected(dataset: Dataset) -> Iterator[Finding]:
    """Find names, pairs, lines and sigmas that are not those of the schema.

    The others are compared where the names are equal; lines and sigmas where the schema has them.
    """
    for row, expected in dataset.expected.items():
        category = dataset.categories.objects[row]
        names = category["keypoints"]
        if not isinstance(names, list):
            continue  # a finding already
        if len(names) != expected.num_keypoints:
            detail = f"{len(names)} instead of {expected.num_keypoints}"
            yield from dataset.categories.found("schema-number", [row], detail)
        elif tuple(names) != expected.names:
            detail = different_names(names, expected.names)
            yield from dataset.categories.found("schema-names", [row], detail)
        else:
            schema = schema_of(category)
            for code, detail in () if schema is None else differences(schema, expected):
                yield from dataset.categories.found(code, [row], detail)


def different_names(names: list[object], expected: tuple[str, ...]) -> str:
    """Return which names differ, by their places from 1."""
    differing = [
        f"{place} is {name!r} instead of {wanted!r}"
        for place, (name, wanted) in enumerate(zip(names, expected, strict=True), 1)
        if name != wanted
    ]
    same = sorted(map(str, names)) == sorted(expected)
    return "in another order: " * same + _few(differing)


def differences(schema: KeypointSchema, expected: KeypointSchema) -> Iterator[tuple[str, str]]:
    """Yield (code, detail) of what differs between two schemas of the same names."""
    partners = zip(schema.names, schema.hflip_indices, expected.hflip_indices, strict=True)
    mirrored = [name for name, ours, theirs in partners if ours != theirs]
    if mirrored:
        yield "schema-pairs", f"other partners of {_few(mirrored)}"
    lines, wanted = (
        {"-".join(sorted(line)) for line in each.skeleton} for each in (schema, expected)
    )
    if expected.skeleton and lines != wanted:
        parts = (("missing", wanted - lines), ("more", lines - wanted))
        yield (
            "schema-skeleton",
            "; ".join(f"{what}: {_few(sorted(found))}" for what, found in parts if found),
        )
    sigmas = [
        f"{name} {ours:g} instead of {theirs:g}"
        for name, ours, theirs in zip(
            schema.names, schema.oks_sigmas, expected.oks_sigmas, strict=True
        )
        if ours != theirs
    ]
    if sigmas and not expected.sigmas_estimated:
        yield "schema-sigmas", _few(sigmas)


def _few(texts: Iterable[str]) -> str:
    listed = list(texts)
    return ", ".join(listed[:3]) + ", ..." * (len(listed) > 3)
