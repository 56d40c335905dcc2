import json
from pathlib import Path

import pytest

from pose_project.utils.errors import InputError
from pose_project.utils.parts_folder import check_parts_folder, open_parts_folder

SETTINGS = {"limit": 5, "sizes": (1, 2)}


def test_checking_writes_nothing(tmp_path: Path) -> None:
    check_parts_folder(tmp_path / "parts", SETTINGS)
    assert not (tmp_path / "parts").exists()


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "parts"
    open_parts_folder(folder, SETTINGS)
    open_parts_folder(folder, SETTINGS)
    check_parts_folder(folder, {"sizes": [1, 2], "limit": 5})
    assert json.loads((folder / "settings.json").read_text()) == {"limit": 5, "sizes": [1, 2]}


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ({"limit": 6, "sizes": (1, 2)}, "other limit;"),
        ({"limit": 5}, "other sizes;"),
        ({**SETTINGS, "limit": None, "mode": "fast"}, "other limit and mode;"),
    ],
)
def test_other_settings_are_named_and_refused(tmp_path: Path, other: dict, names: str) -> None:
    open_parts_folder(tmp_path, SETTINGS)
    before = (tmp_path / "settings.json").read_bytes()
    for claim in (open_parts_folder, check_parts_folder):
        with pytest.raises(InputError, match=names):
            claim(tmp_path, other)
    assert (tmp_path / "settings.json").read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[1]", "null", "3", ""])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InputError, match="settings.json is damaged"):
        open_parts_folder(tmp_path, SETTINGS)
