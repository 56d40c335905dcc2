import json

import pytest
from helpers.injected_errors import CONTENTS, UNCORRECTED, clean

from pose_project.extras.doctor.columns import Dataset
from pose_project.extras.doctor.examination import examine_content
from pose_project.extras.doctor.fixing import correct
from pose_project.extras.doctor.problems import PROBLEMS


def codes_of(content: dict) -> list[str]:
    return examine_content("x.json", content).codes


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        (code, edit)
        for code, edit, _ in CONTENTS
        if PROBLEMS[code].corrected and edit not in UNCORRECTED
    ],
)
def test_what_is_corrected_is_gone(code, edit):
    content = clean()
    edit(content)
    before = json.dumps(content)
    corrected, done = correct(Dataset(content))
    assert json.dumps(content) == before
    assert code not in codes_of(corrected)
    assert done


def test_correcting_a_clean_file_changes_nothing():
    corrected, done = correct(Dataset(clean()))
    assert corrected == clean()
    assert not done


def test_what_cannot_be_corrected_stays():
    for edit in UNCORRECTED:
        content = clean()
        edit(content)
        corrected, _ = correct(Dataset(content))
        assert corrected == content


def test_nothing_is_estimated():
    content = clean()
    del content["annotations"][0]["area"]
    del content["annotations"][1]["bbox"]
    corrected, done = correct(Dataset(content))
    assert corrected == content
    assert not done


def test_people_with_unreadable_keypoints_are_not_left_out():
    content = clean()
    content["annotations"][0] |= {"bbox": None, "keypoints": "10,15,2"}
    assert correct(Dataset(content))[0] == content
