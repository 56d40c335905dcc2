"""Files of other tools, fed with damaged and hostile input: read, or one clear error."""

import json
import logging
import tempfile
from pathlib import Path

import pytest
from helpers.fuzzing import VALID, damage, edits, fuzz, paths_in, replaced, values
from hypothesis import given
from hypothesis import strategies as st

from pose_project.data.annotation_files import MALFORMED
from pose_project.data.category_schemas import complete_categories, read_schemas, schema_hint
from pose_project.extras.converters.yolo_files import find_images
from pose_project.extras.converters.yolo_labels import find_labels
from pose_project.extras.report.input_files import read_results, read_truth
from pose_project.structures import KeypointSchema
from pose_project.utils.errors import InputError


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def yolo_folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("yolo") / "1/2/3/4/5/pets"  # so deep that ".." stays within
    for place in ("train/images/a.png", "train/labels/a.txt", "valid/photos/b.png", "c.png"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).touch()
    (root / "list.txt").write_text("train/images/a.png\n/else/valid/photos/b.png\n")
    return root


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "truth.json"
    path.write_text(json.dumps(VALID))
    return read_truth(path)


parts = st.sampled_from(
    ["..", ".", "", "/", "C:", "pets", "train", "valid", "images", "photos", "list.txt", "x" * 300]
)
paths = st.builds(
    lambda pieces, slash: slash.join(pieces),
    st.lists(parts | st.text(max_size=3), min_size=1, max_size=5),
    st.sampled_from(["/", "\\"]),
)
entries = paths | st.lists(paths, max_size=3) | values


@fuzz
@given(st.dictionaries(st.sampled_from(["path", "train", "val", "valid", "test"]), entries))
def test_paths_of_a_yolo_description(yolo_folder, content):
    data_yaml = yolo_folder / "data.yaml"
    try:
        root, splits = find_images(data_yaml, content)
        for split, images in splits.items():
            assert images and all(each.is_relative_to(root) for each in images)
            assert list(find_labels(data_yaml, root, split, images)) == images
    except InputError as error:
        assert str(error)


POINTS = [[10.5 + n, 20.5 + n] for n in range(17)]
FLAT = [value for point in POINTS for value in (*point, 0.5)]
FORMS = [
    [{"image_id": "1.png", "category_id": 1, "keypoints": FLAT, "score": 2.5, "box": [1, 2, 3, 4]}],
    {"1.png": [{"keypoints": POINTS, "keypoint_scores": [0.5] * 17, "bbox": [[1, 2, 3, 4]]}]},
    {"1": {"version": 1.3, "people": [{"pose_keypoints_2d": FLAT + FLAT[:3] * 8}]}},
    {
        "images": [{"id": 7, "file_name": "1.png"}],
        "annotations": [{"image_id": 7, "category_id": 1, "keypoints": FLAT, "score": 1}],
        "categories": [{"id": 1, "keypoints": [f"p{n}" for n in range(17)]}],
    },
    [
        [
            {
                "file_name": "1.png",
                "name": "person",
                "confidence": 1,
                "box": {"x1": 1, "y1": 2},
                "keypoints": {"x": [1] * 17, "y": [9] * 17},
            }
        ]
    ],
]
FORM_PLACES = [(number, place) for number, form in enumerate(FORMS) for place in paths_in(form)]


def use_results(truth, content: bytes) -> None:
    """Read results as the report does; what comes out has the ground truth's ids and arrays."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        path.write_bytes(content)
        try:
            results = read_results(path, truth)
            assert {each["image_id"] for each in results.coco} <= {1}
            assert results.predictions[0].keypoints.shape[1:] == (17, 3)
        except InputError as error:
            assert str(error)


@pytest.mark.parametrize("number", range(len(FORMS)))
def test_results_of_other_tools(truth, number):
    use_results(truth, json.dumps(FORMS[number]).encode())


@fuzz
@given(st.sampled_from(FORM_PLACES), values)
def test_results_with_a_value_that_does_not_belong_there(truth, place, value):
    number, path = place
    use_results(truth, json.dumps(replaced(FORMS[number], path, value)).encode("utf-8", "replace"))


@fuzz
@given(st.integers(0, len(FORMS) - 1), edits, st.floats(0, 1))
def test_results_with_damaged_bytes(truth, number, changes, keep):
    use_results(truth, damage(json.dumps(FORMS[number]).encode(), changes, keep))


NAMES = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
sides = st.integers(-1, 6) | st.sampled_from([*NAMES, "1", "5", "left_eye,right_eye", "1-2", ""])
mirrors = st.lists(st.lists(sides | values, min_size=1, max_size=3) | sides, max_size=6)


@fuzz
@given(mirrors | mirrors.map(json.dumps) | st.dictionaries(st.text(max_size=3), sides) | values)
def test_mirror_pairs(pairs):
    try:
        schema = KeypointSchema.from_coco_category({"keypoints": NAMES, "flip_pairs": pairs})
        mirror = schema.hflip_indices
        assert [mirror[place] for place in mirror] == list(range(5))
    except MALFORMED as error:
        assert str(error)


NAMELESS = {
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "cat", "keypoints": NAMES}],
    "annotations": [
        {"id": n, "category_id": 1 + n % 2, "keypoints": [9, 9, 2] * (17 if n % 2 else 6)}
        for n in range(6)
    ],
}
NAMELESS_PLACES = paths_in(NAMELESS)


@fuzz
@given(
    st.sampled_from(NAMELESS_PLACES[1:]), values, st.sampled_from(["", "coco", "coco_wholebody"])
)
def test_categories_that_are_completed(place, value, given):
    content = replaced(NAMELESS, place, value)
    lists = [each if isinstance(each, list) else [] for each in content.values()]
    done = complete_categories(*lists, read_schemas(given) if given else {})
    assert [len(done.categories), len(done.annotations)] == [len(each) for each in lists]
    assert isinstance(schema_hint(*lists), str)
