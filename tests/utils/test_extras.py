"""Extras by name: found, missing, and each with its line and page."""

import re

import pytest
from helpers.repository import ROOT

from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra, need_extra


def test_an_extra_that_is_not_there_is_named():
    assert find_extra("nothing.at_all") is None
    with pytest.raises(InputError, match=r"^films need pose_project/extras/nothing$"):
        need_extra("nothing.at_all", "films need")


def test_each_extra_has_a_line_and_a_page():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| \[\w+\]\((docs/\w+\.md)\) \|$", text, re.M))
    folders = {each.parent.name for each in (ROOT / "pose_project/extras").glob("*/__init__.py")}
    assert listed.keys() == folders
    assert all((ROOT / page).is_file() for page in listed.values())
