"""The doctor is for broken files: nothing in one may stop it, or the copy that it corrects."""

import copy
import json
import logging
import tempfile
from pathlib import Path

import pytest
from helpers.fuzzing import VALID, damage, edits, fuzz, paths_in, replaced, values
from hypothesis import given
from hypothesis import strategies as st

from pose_project.data.category_schemas import Schemas
from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.examination import examine, examine_content
from pose_project.extras.doctor.fixing import correct
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

RICH = copy.deepcopy(VALID)
RICH["categories"][0] |= {
    "skeleton": [[1, 2], [2, 3]],
    "flip_pairs": [["left_eye", "right_eye"]],
    "oks_sigmas": [0.05] * 17,
}
PLACES = [path for path in paths_in(RICH) if path]


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def check(content: object) -> None:
    for schemas in ({}, {"person": COCO_PERSON}):
        check_with(content, schemas)


def check_with(content: object, schemas: Schemas) -> None:
    before = json.dumps(content)
    report = examine_content("x.json", content, schemas)
    assert report.exit_code in (0, 1, 2)
    json.dumps(report.as_dict())
    assert report.text().encode()
    assert "\n" not in report.line()
    if report.totals:
        corrected, _ = correct(Dataset(content, schemas))
        again = examine_content("x.json", json.loads(json.dumps(corrected)), schemas)
        assert again.exit_code <= report.exit_code
    assert json.dumps(content) == before


@fuzz
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
def test_values_that_do_not_belong_there(changes):
    content: object = RICH
    for path, value in changes:
        try:
            content = replaced(content, path, value)
        except (TypeError, KeyError, IndexError, ValueError):
            continue  # an earlier change has taken this place away
    check(json.loads(json.dumps(content)))


@fuzz
@given(values)
def test_any_json(value):
    check(value)
    check({"images": value, "annotations": value, "categories": value})


@fuzz
@given(edits, st.floats(0, 1))
def test_damaged_bytes(changes, keep):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        path.write_bytes(damage(json.dumps(RICH).encode(), changes, keep))
        try:
            examine(path, Path(folder), schemas={"person": COCO_PERSON})
        except InputError as error:
            assert str(error)
