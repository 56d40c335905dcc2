"""Ground truth and results with strange values: a whole report, or one clear error."""

import json
import logging
import tempfile
import warnings
from pathlib import Path

import pytest
from helpers.annotations import person
from helpers.fuzzing import PLACES, VALID, damage, edits, fuzz, paths_in, replaced, values
from hypothesis import given
from hypothesis import strategies as st

from pose_project.extras.report.analysis import analyse, write_json
from pose_project.extras.report.markdown import format_report
from pose_project.utils.errors import InputError

RESULTS = [
    {
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 15, 34, 34],
        "score": 0.5,
        "keypoints": person()["keypoints"],
    },
    {"image_id": 1, "category_id": 1, "score": 0.2, "keypoints": person()["keypoints"]},
]
RESULT_PLACES = paths_in(RESULTS)


@pytest.fixture(scope="module", autouse=True)
def quick_and_quiet():
    logging.disable(logging.CRITICAL)
    patch = pytest.MonkeyPatch()
    patch.setattr("pose_project.extras.report.analysis.RESAMPLES", 2)
    patch.setattr("pose_project.extras.report.analysis.collect_provenance", dict)  # asks git
    yield
    patch.undo()
    logging.disable(logging.NOTSET)


def report_of(truth: str | bytes, results: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in (("truth", truth), ("results", results)):
            if isinstance(content, str):
                content = content.encode("utf-8", errors="surrogatepass")
            (folder / file).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                report = analyse(folder / "truth", folder / "results")
                write_json(report, folder / "report.json")
                assert json.loads((folder / "report.json").read_text())["schema_version"] == 1
                format_report(report)
            except InputError as error:
                assert str(error)


@fuzz
@given(st.sampled_from(PLACES), values)
def test_a_strange_value_in_the_ground_truth(place, value):
    report_of(json.dumps(replaced(VALID, place, value)), json.dumps(RESULTS))


@fuzz
@given(st.sampled_from(RESULT_PLACES), values)
def test_a_strange_value_in_the_results(place, value):
    report_of(json.dumps(VALID), json.dumps(replaced(RESULTS, place, value)))


@fuzz
@given(edits, st.floats(0, 1))
def test_damaged_results(changes, keep):
    report_of(json.dumps(VALID), damage(json.dumps(RESULTS).encode(), changes, keep))
