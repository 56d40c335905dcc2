"""Of every problem the doctor says what loading does with it; loading does that."""

import json

import pytest
from helpers.doctored_files import CONTENTS, clean, write_photos

from pose_project.data import get_dataset_dicts
from pose_project.data.annotation_files import load_annotations
from pose_project.evaluation import PoseEvaluator
from pose_project.extras.doctor import examine_content
from pose_project.extras.doctor.findings import ERROR, FILLED, LEFT_OUT, REFUSED, TAKEN
from pose_project.extras.doctor.problems import PROBLEMS
from pose_project.utils.errors import InputError


@pytest.mark.parametrize(("code", "edit"), [each[:2] for each in CONTENTS])
def test_loading_does_what_the_doctor_says(tmp_path, code, edit):
    content = clean()
    write_photos(tmp_path / "photos", content)
    edit(content)
    json_file = tmp_path / "annotations.json"
    json_file.write_text(json.dumps(content))
    name = f"{json_file}@{tmp_path / 'photos'}"
    found = {each.problem.loading for each in examine_content(json_file, content).findings}
    assert PROBLEMS[code].loading in found
    if REFUSED in found:
        with pytest.raises(InputError):
            get_dataset_dicts(name, min_keypoints=1)
        return
    get_dataset_dicts(name, filter_empty=False)
    PoseEvaluator(name)
    annotations = load_annotations(json_file)
    assert (PROBLEMS[code].loading == FILLED) <= bool(annotations.filled)
    assert (LEFT_OUT in found) == bool(annotations.left_out)


def test_what_is_left_out_or_filled_is_an_error_only_where_people_are_lost():
    by_loading = {kind: [] for kind in (REFUSED, FILLED, LEFT_OUT, TAKEN)}
    for problem in PROBLEMS.values():
        by_loading[problem.loading].append(problem)
    assert all(each.severity == ERROR for each in by_loading[REFUSED])
    assert all(each.severity != ERROR for each in by_loading[FILLED])
