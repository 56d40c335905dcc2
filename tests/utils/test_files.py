import pytest

from pose_project.utils.files import atomic_path, write_text_atomic


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "state"
    write_text_atomic(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    write_text_atomic(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == ordinary.stat().st_mode
