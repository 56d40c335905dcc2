import hashlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers.file_server import Fault
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pose_project.extras.download.large_files import Published, RetryPolicy, fetch, part_of
from pose_project.utils.errors import DownloadError, InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
HASTY = RetryPolicy(timeout=1.0, retries=3, pause=0.001)


def tag_of(path: Path) -> Path:
    return path.with_name(path.name + ".part.tag")


@pytest.fixture
def get(server, tmp_path):
    """Fetch the file; return where it is."""
    server.files["/big.zip"] = CONTENT

    def run(content: bytes = CONTENT, policy: RetryPolicy = HASTY) -> Path:
        path = tmp_path / "big.zip"
        md5 = hashlib.md5(content).hexdigest()
        fetch(f"{server.address}/big.zip", path, Published(len(content), "md5", md5), policy)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]
        return path

    return run


def ranges(server) -> list[str | None]:
    return [each.range for each in server.requests]


def test_a_whole_file(server, get):
    get()
    assert ranges(server) == [None]


def test_dropped_connections_go_on_by_range(server, get):
    server.faults = [Fault(stop_after=100_000), Fault(stop_after=70_000)]
    get()
    assert ranges(server) == [None, "bytes=100000-", "bytes=170000-"]
    assert server.sent() == len(CONTENT)
    tag = '"' + hashlib.md5(CONTENT).hexdigest() + '"'
    assert [each.if_range for each in server.requests] == [None, tag, tag]


@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cuts=st.lists(st.integers(0, 120_000), max_size=8))
def test_any_cuts_give_the_same_file(server, get, cuts):
    server.faults = [Fault(stop_after=each) for each in cuts]
    path = get(policy=RetryPolicy(timeout=1.0, retries=8, pause=0.0))
    path.unlink()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, get, status):
    server.faults = [Fault(status=status), Fault(stop_after=1), Fault(status=status)]
    get()
    assert len(server.requests) == 4


def test_a_stalled_server_is_asked_again(server, get):
    server.faults = [Fault(stop_after=1000), Fault(stall=0.5)]
    get(policy=RetryPolicy(timeout=0.2, retries=3, pause=0.001))
    assert ranges(server) == [None, "bytes=1000-", "bytes=1000-"]


def test_a_server_without_ranges_starts_again(server, get):
    server.ranges = False
    server.faults = [Fault(stop_after=100_000)]
    get()
    assert [each.sent for each in server.requests] == [100_000, len(CONTENT)]


def test_giving_up_keeps_what_came_in(server, get, tmp_path):
    server.faults = [Fault(stop_after=100_000)]
    server.always = Fault(status=503)
    with pytest.raises(DownloadError, match="100,000 of 300,000 bytes are kept"):
        get()
    assert len(server.requests) == 1 + 1 + HASTY.retries
    assert part_of(tmp_path / "big.zip").read_bytes() == CONTENT[:100_000]
    server.always = None
    get()
    assert ranges(server)[-1] == "bytes=100000-"


def test_nobody_listens(tmp_path, server):
    server.__exit__()
    with pytest.raises(DownloadError, match="no connection to 127.0.0.1"):
        fetch(f"{server.address}/x", tmp_path / "x", Published(1), RetryPolicy(1.0, 1, 0.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("obeys_if_range", [True, False])
def test_a_file_that_changed_is_not_glued(server, get, tmp_path, obeys_if_range):
    server.faults = [Fault(stop_after=100_000)]
    server.always = Fault(status=503)
    with pytest.raises(DownloadError):
        get()
    new = CONTENT[::-1]
    server.files["/big.zip"], server.always, server.obeys_if_range = new, None, obeys_if_range
    get(new)
    assert server.sent() == 100_000 + len(new) + (0 if obeys_if_range else server.requests[-2].sent)


def test_without_tags_the_md5_decides(server, get):
    server.tags = False
    old, server.files["/big.zip"] = CONTENT, CONTENT[::-1]
    server.faults = [Fault(stop_after=100_000), Fault(status=404)]
    with pytest.raises(InputError, match="HTTP 404"):
        get()
    server.files["/big.zip"] = old
    get()  # glued once, seen, fetched again
    assert ranges(server)[-2:] == ["bytes=100000-", None]


def test_a_damaged_download_is_fetched_once_more(server, get):
    server.faults = [Fault(corrupt=True)]
    get()
    assert ranges(server) == [None, None]


def test_another_content_is_refused_in_the_end(server, get, tmp_path):
    server.always = Fault(corrupt=True)
    with pytest.raises(InputError, match="is not the official big.zip: it has MD5"):
        get()
    assert len(server.requests) == 2
    assert not (tmp_path / "big.zip").exists()
    assert not part_of(tmp_path / "big.zip").exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(length=299_999), "has 299,999 bytes, not 300,000"),
        (Fault(length=400_000), "has 400,000 bytes, not 300,000"),
        (Fault(status=404), "HTTP 404"),
        (Fault(status=403), "HTTP 403"),
        (Fault(status=416), "HTTP 416"),
        (Fault(redirect="file:///etc/passwd"), "HTTP 302"),
        (Fault(redirect="http://[nowhere"), "big.zip"),
        (Fault(redirect="/big.zip"), "HTTP 302"),
    ],
)
def test_replies_that_are_no_such_file(server, get, tmp_path, fault, message):
    server.faults = [Fault(stop_after=100_000)]
    server.always = fault
    with pytest.raises(InputError, match=message):
        get()
    assert part_of(tmp_path / "big.zip").read_bytes() == CONTENT[:100_000]


def test_a_page_of_unknown_length_replaces_nothing(server, get, tmp_path):
    server.faults = [Fault(stop_after=100_000), Fault(no_length=True)]
    server.ranges = False
    with pytest.raises(InputError, match="has an unknown number of bytes"):
        get()
    assert part_of(tmp_path / "big.zip").read_bytes() == CONTENT[:100_000]


def test_no_more_is_read_than_the_file_has(server, get):
    server.faults = [Fault(stop_after=100_000), Fault(no_length=True, extra=10**7)]
    path = get()
    assert ranges(server) == [None, "bytes=100000-"]
    assert path.stat().st_size == len(CONTENT)
    assert server.sent() < 10**7


def test_a_redirect_keeps_the_range(server, get):
    server.files["/elsewhere"] = CONTENT
    there = Fault(redirect=f"{server.address}/elsewhere")
    server.faults = [there, Fault(stop_after=100_000), there]
    get()
    assert [(each.path, each.range) for each in server.requests] == [
        ("/big.zip", None),
        ("/elsewhere", None),
        ("/big.zip", "bytes=100000-"),
        ("/elsewhere", "bytes=100000-"),
    ]


def test_a_reply_from_another_place_is_not_written(server, get):
    server.faults = [Fault(stop_after=100_000), Fault(start_at=90_000)]
    get()
    assert ranges(server) == [None, "bytes=100000-", "bytes=100000-"]


@pytest.mark.parametrize("tag", [b"a\r\nHost: evil", b"\xff\xfe", b""])
def test_a_strange_saved_tag_is_not_sent(server, get, tmp_path, tag):
    part_of(tmp_path / "big.zip").write_bytes(CONTENT[:5])
    tag_of(tmp_path / "big.zip").write_bytes(tag)
    get()
    assert server.requests[0].if_range is None
    assert server.sent() == len(CONTENT) - 5


def test_a_part_that_is_too_long_is_thrown_away(server, get, tmp_path):
    part_of(tmp_path / "big.zip").write_bytes(CONTENT + b"x")
    get()


def test_a_full_disk_is_not_a_bad_connection(server, get, tmp_path):
    import resource

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert len(server.requests) == 1
    assert os.path.getsize(part_of(tmp_path / "big.zip")) == 150_000
    get()
    assert ranges(server) == [None, "bytes=150000-"]


@pytest.mark.parametrize("digits", [0, 8, 64])
def test_a_size_that_the_server_tells_and_the_first_digits_of_a_digest(server, tmp_path, digits):
    server.files["/w.pth"] = CONTENT
    digest = hashlib.sha256(CONTENT).hexdigest()[:digits]
    fetch(f"{server.address}/w.pth", tmp_path / "w.pth", Published(digest=digest), HASTY)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_a_size_that_nobody_knows_is_refused(server, tmp_path):
    server.files["/w.pth"] = CONTENT
    server.always = Fault(no_length=True)
    with pytest.raises(InputError, match="does not say how large"):
        fetch(f"{server.address}/w.pth", tmp_path / "w.pth", Published(), HASTY)
    assert not list(tmp_path.iterdir())


def test_an_unknown_size_survives_a_server_that_fails_at_first(server, tmp_path):
    server.files["/w.pth"] = CONTENT
    server.faults = [Fault(status=503), Fault(), Fault(stop_after=1000)]
    fetch(f"{server.address}/w.pth", tmp_path / "w.pth", Published(), HASTY)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
