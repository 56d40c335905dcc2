import io
import os
import stat
import struct
import zipfile

import pytest
from helpers.file_server import zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pose_project.extras.coco_download.unpack import unpack
from pose_project.utils.errors import InputError

NAMES = r"\d{3}\.jpg"
MEMBERS = {"photos/": b"", **{f"photos/{n:03d}.jpg": bytes([n]) * (50 + n) for n in range(9)}}
FILES = {name.removeprefix("photos/"): content for name, content in MEMBERS.items() if content}


@pytest.fixture
def run(tmp_path):
    """Unpack an archive of ten files; return the folder, which alone may have been written to."""

    def run(content: bytes, num_files: int = len(FILES), max_bytes: int = 1000):
        archive = tmp_path / "outer" / "photos.zip"
        archive.parent.mkdir(exist_ok=True)
        archive.write_bytes(content)
        unpack(archive, archive.parent / "photos", NAMES, num_files, max_bytes)
        return archive.parent / "photos"

    return run


def written(tmp_path) -> dict[str, bytes]:
    """Every file below the test's folder except for the archive."""
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".zip"]
    return {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_all_files(run, compression):
    folder = run(zipped(MEMBERS, compression))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


def test_going_on_keeps_whole_files_and_replaces_others(run, tmp_path):
    folder = tmp_path / "outer" / "photos"
    folder.mkdir(parents=True)
    (folder / "000.jpg").write_bytes(FILES["000.jpg"])
    (folder / "001.jpg").write_bytes(FILES["001.jpg"][:-1])
    (folder / "002.jpg").write_bytes(FILES["002.jpg"][:-1] + b"x")
    (folder / ".unpacking").write_bytes(b"half of")
    os.utime(folder / "000.jpg", (1, 1))
    run(zipped(MEMBERS))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert (folder / "000.jpg").stat().st_mtime == 1


def test_a_link_in_the_folder_is_replaced_not_followed(run, tmp_path):
    folder = tmp_path / "outer" / "photos"
    folder.mkdir(parents=True)
    for name in ("000.jpg", ".unpacking"):
        (tmp_path / f"precious{name}").write_bytes(b"precious")
        (folder / name).symlink_to(tmp_path / f"precious{name}")
    run(zipped(MEMBERS))
    assert (tmp_path / "precious000.jpg").read_bytes() == b"precious"
    assert (tmp_path / "precious.unpacking").read_bytes() == b"precious"
    assert not (folder / "000.jpg").is_symlink()


def with_member(name: str, content: bytes = b"x", mode: int = 0) -> bytes:
    """The archive with one more member."""
    stream = io.BytesIO(zipped(MEMBERS))
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with pytest.MonkeyPatch.context() as patch, zipfile.ZipFile(stream, "a") as archive:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # of names that are there twice
        archive.writestr(info, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (with_member("../100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos/../../100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos/../100.jpg"), "is not a file that belongs into photos/"),
        (with_member("/tmp/100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos//100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos\\..\\100.jpg"), "is not a file that belongs into photos/"),
        (with_member("C:100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos/deep/100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos/deep/"), "is not a file that belongs into photos/"),
        (with_member("photos/100.jpg\n"), "is not a file that belongs into photos/"),
        (with_member("photos/100.jpg.exe"), "is not a file that belongs into photos/"),
        (with_member("photos/١٠٠.jpg"), "is not a file that belongs into photos/"),
        (with_member("other/100.jpg"), "is not a file that belongs into photos/"),
        (with_member("photos"), "is not a file that belongs into photos/"),
        (with_member("photos/100.jpg", b"/etc", stat.S_IFLNK | 0o777), "is a link or device"),
        (with_member("photos/", b"/etc", stat.S_IFLNK | 0o777), "is not a file that belongs"),
        (with_member("photos/100.jpg", mode=stat.S_IFIFO), "is a link or device"),
        (with_member("photos/001.jpg"), "is there twice"),
        (with_member("photos/100.jpg"), "it has 10 files, not 9"),
        (zipped(dict(list(MEMBERS.items())[:-1])), "it has 8 files, not 9"),
        (zipped({}), "it has 0 files, not 9"),
        (b"", "is damaged"),
        (b"<html>not found</html>", "is damaged"),
        (zipped(MEMBERS)[:-30], "is damaged"),
    ],
)
def test_refused_before_anything_is_written(run, tmp_path, archive, message):
    with pytest.raises(InputError, match=message):
        run(archive)
    assert written(tmp_path) == {}


def test_an_encrypted_member(run, tmp_path):
    content = bytearray(zipped(MEMBERS))
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 8] |= 1
    with pytest.raises(InputError, match="is encrypted"):
        run(bytes(content))
    assert written(tmp_path) == {}


def test_names_that_differ_in_case_only(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped({"x/a.jpg": b"1", "x/A.jpg": b"2"}))
    with pytest.raises(InputError, match="is there twice"):
        unpack(tmp_path / "x.zip", tmp_path / "x", r"[aA]\.jpg", 2, 10)


def test_a_bomb_that_says_so(run, tmp_path):
    bomb = zipped({**MEMBERS, "photos/008.jpg": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 20_000
    with pytest.raises(InputError, match="it would unpack to 10,000,428 bytes, more than 1,000"):
        run(bomb)
    assert written(tmp_path) == {}


def test_a_bomb_that_lies_about_its_size(run, tmp_path):
    """The last member is declared to have 58 bytes and has ten million."""
    bomb = bytearray(zipped({**MEMBERS, "photos/008.jpg": bytes(10**7)}, zipfile.ZIP_DEFLATED))
    for place in (bomb.rindex(b"PK\x03\x04") + 22, bomb.rindex(b"PK\x01\x02") + 24):
        assert struct.unpack_from("<I", bomb, place) == (10**7,)
        struct.pack_into("<I", bomb, place, 58)
    with pytest.raises(InputError, match="Bad CRC-32"):
        run(bytes(bomb))
    del (files := written(tmp_path))["outer/photos/.unpacking"]
    assert len(files) == 8
    assert (tmp_path / "outer/photos/.unpacking").stat().st_size <= 58


def test_a_damaged_member_gets_no_name(run, tmp_path):
    content = zipped(MEMBERS)
    place = content.index(FILES["004.jpg"])
    damaged = content[:place] + b"\xff" + content[place + 1 :]
    with pytest.raises(InputError, match="Bad CRC-32"):
        run(damaged)
    assert "outer/photos/004.jpg" not in written(tmp_path)
    folder = run(content)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=4),
    keep=st.floats(0, 1) | st.just(1.0),
)
def test_damaged_archives_never_write_a_wrong_file(run, tmp_path, changes, keep):
    content = bytearray(zipped(MEMBERS, zipfile.ZIP_DEFLATED))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        run(bytes(content[: round(len(content) * keep)]))
    except InputError as error:
        assert "\n" not in str(error)
    for name, found in written(tmp_path).items():
        folder, _, file = name.rpartition("/")
        assert folder == "outer/photos"
        assert file == ".unpacking" or found == FILES[file]
