"""What the fuzz tests share: strange values, damaged bytes, and a valid file to begin with."""

import math
import os

from conftest import person
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pose_project.structures import COCO_PERSON

CASES = int(os.environ.get("POSE_PROJECT_FUZZ_CASES", "40"))
fuzz = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([math.nan, math.inf, -1, 0, 10**400, "1", "../../x", ""])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)
edits = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8)


def damage(content: bytes, changes: list[tuple[int, int]], keep: float) -> bytes:
    """Change some bytes, then cut the end off."""
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    return bytes(damaged[: max(1, round(len(damaged) * keep))])


def paths_in(node: object, path: tuple = ()) -> list[tuple]:
    """Return the path of every value in nested dicts and lists, the whole first."""
    children: list = []
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    return [path, *(each for key, child in children for each in paths_in(child, (*path, key)))]


def replaced(node: object, path: tuple, value: object) -> object:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


VALID = {
    "images": [{"id": 1, "file_name": "1.png", "height": 64, "width": 80}],
    "annotations": [person(), person(annotation_id=2, num_keypoints=17)],
    "categories": [
        {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names), "skeleton": []}
    ],
}
PLACES = [path for path in paths_in(VALID) if path]
