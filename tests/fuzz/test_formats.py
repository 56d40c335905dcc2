"""Files of other tools, fed with damaged and hostile input: read, or one clear error."""

import logging
from pathlib import Path

import pytest
from helpers.fuzzing import fuzz, values
from hypothesis import given
from hypothesis import strategies as st

from pose_project.extras.converters.yolo_files import find_images
from pose_project.extras.converters.yolo_labels import find_labels
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
