"""What the fuzz tests share: strange values, damaged bytes, and a valid file to begin with."""

import math
import os
import sys
import traceback

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.builtin import register_all_coco
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from helpers.annotations import person
from helpers.repository import load_tool
from pose_project.structures import COCO_PERSON

CASES = int(os.environ.get("POSE_PROJECT_FUZZ_CASES", "40"))
CALLS = int(os.environ.get("POSE_PROJECT_FUZZ_CALLS", "5"))
fuzz = settings(
    max_examples=CASES,
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


def call_tool(name: str, arguments: tuple[str, ...], data: str) -> None:
    """Run a tool in this process, which is made for it, and end with its exit code; 99 is a crash.

    Args:
        name: of the tool.
        arguments: of its command line.
        data: a folder in COCO's layout; gets ``stderr.txt``.
    """
    os.environ["DETECTRON2_DATASETS"] = data
    with open(f"{data}/stderr.txt", "w") as sys.stderr, open(os.devnull, "w") as sys.stdout:
        code: object = 99
        try:
            point_coco_to(data)
            code = load_tool(name).main(list(arguments))
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(int(code))


def point_coco_to(data: str) -> None:
    """Detectron2 reads DETECTRON2_DATASETS when it is imported, which has happened already."""
    for name in list(DatasetCatalog.list()):
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    register_all_coco(data)
