"""A large file over HTTP: interrupted as often as it may be, in the end whole or not there.

While it comes in it is ``NAME.part``; ``NAME.part.tag`` names the version that the server sent
(its ETag, else its date), so that a file which changed meanwhile is not glued to the old one's
beginning.
"""

import hashlib
import http.client
import io
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pose_project.utils.errors import DownloadError, InputError
from pose_project.utils.files import write_text_atomic

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_PAUSE = 60.0
_HEADERS = {"User-Agent": "pose_project", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a server.

    Attributes:
        timeout: seconds without a byte after which a connection is given up.
        retries: attempts in a row that bring no new byte before the download is given up.
        pause: seconds before the first retry; doubled for each further one, up to a minute.
    """

    timeout: float = 30.0
    retries: int = 6
    pause: float = 1.0


class _Interrupted(Exception):
    """The connection or the server failed in a way that may pass."""


def part_of(path: Path) -> Path:
    """Return the name of a file while it is being fetched."""
    return path.with_name(path.name + ".part")


@dataclass(frozen=True)
class Published:
    """What is known of a file before it is fetched.

    Attributes:
        size: in bytes; None takes what the server says.
        algorithm: ``md5`` or ``sha256``.
        digest: hexadecimal, of the content; its first digits suffice, and "" checks none.
    """

    size: int | None = None
    algorithm: str = "sha256"
    digest: str = ""

    def fault(self, path: Path) -> str | None:
        """Return what is wrong with a file, or None; shows progress in a terminal."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"has {found:,} bytes, not {self.size:,}"
        if self.digest and not (found := self._digest_of(path)).startswith(self.digest):
            return f"has {self.algorithm.upper()} {found[: len(self.digest)]}, not {self.digest}"
        return None

    def _digest_of(self, path: Path) -> str:
        digest = hashlib.new(self.algorithm, usedforsecurity=False)
        with open(path, "rb") as stream, _progress(path, "checking") as bar:
            while block := stream.read(_BLOCK):
                digest.update(block)
                bar.update(len(block))
        return digest.hexdigest()


def fetch(url: str, path: Path, published: Published, policy: RetryPolicy | None = None) -> None:
    """Download a file, going on from where an earlier call stopped.

    Args:
        url: ``http`` or ``https``; redirects are followed, proxies are those of the environment.
        path: appears when the file is whole and what was published.
        published: what the file must be.
        policy: how long to wait for the server.

    Raises:
        InputError: if the server has another file, or none.
        DownloadError: if it does not deliver; what has come in is kept for the next call.
        OSError: if the disk is full or the folder cannot be written; as above.
    """
    part = part_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        _fetch_part(url, part, published.size, policy or RetryPolicy())
        fault = published.fault(part)
        if fault is None:
            with open(part, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(part, path)
            _tag_of(part).unlink(missing_ok=True)
            return
        part.unlink()
        _tag_of(part).unlink(missing_ok=True)
        logger.warning("%s %s: thrown away.", path.name, fault)
    raise InputError(
        f"{url} is not the official {path.name}: it {fault}. Try another network or mirror"
    )


def _fetch_part(url: str, part: Path, size: int | None, policy: RetryPolicy) -> None:
    """Fill ``part`` up to ``size``; interrupted connections are taken up again."""
    most, failures = _size_of(part), 0
    with _progress(part, "fetching", size) as bar:
        while size is None or _size_of(part) != size:
            try:
                if size is None:
                    size = bar.total = _told_size(url, policy.timeout)
                if _size_of(part) > size:
                    part.unlink()
                _receive(url, part, size, policy.timeout, bar)
            except _Interrupted as interruption:
                have = _size_of(part)
                failures = 0 if have > most else failures + 1
                most = max(most, have)
                if failures > policy.retries:
                    whole = "" if size is None else f" of {size:,}"
                    raise DownloadError(
                        f"{url}: {interruption}; given up after {failures} attempts without a new "
                        f"byte. {have:,}{whole} bytes are kept: run this again to go on"
                    ) from interruption
                pause = min(policy.pause * 2 ** max(failures - 1, 0), _LONGEST_PAUSE)
                logger.warning("%s; going on in %g s at byte %d.", interruption, pause, have)
                time.sleep(pause)


def _told_size(url: str, timeout: float) -> int:
    with _open(urllib.request.Request(url, headers=_HEADERS), timeout) as response:
        _, total = _extent(response)
    if total is None:
        raise InputError(f"{url}: the server does not say how large the file is")
    return total


def _receive(url: str, part: Path, size: int, timeout: float, bar: tqdm) -> None:
    """Append to ``part`` what one connection gives."""
    have, tag_file = _size_of(part), _tag_of(part)
    tag = _read_tag(tag_file) if have else None
    headers = dict(_HEADERS)
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag is not None:
            headers["If-Range"] = tag
    with _open(urllib.request.Request(url, headers=headers), timeout) as response:
        start, total = _extent(response)
        if total != size:
            told = "an unknown number of" if total is None else f"{total:,}"
            raise InputError(f"{url} has {told} bytes, not {size:,}: this is another file")
        version = _version(response)
        if start not in (0, have):
            raise _Interrupted(f"asked for byte {have}, the server sends from byte {start}")
        if start and None not in (tag, version) and version != tag:
            part.unlink()
            raise _Interrupted("the file on the server is another one than before")
        with open(part, "r+b" if part.exists() else "wb", buffering=0) as stream:
            if start == 0:
                if have:
                    logger.warning("%s cannot be continued, or has changed: from the start.", url)
                stream.truncate(0)
                if version is None:
                    tag_file.unlink(missing_ok=True)
                else:
                    write_text_atomic(tag_file, version)
            stream.seek(start)
            bar.n = bar.initial = start
            bar.refresh()
            for block in _blocks(response):
                block = block[: size - stream.tell()]  # a reply may be longer than it said
                _write_all(stream, block)
                bar.update(len(block))
                if stream.tell() == size:
                    return
    raise _Interrupted(f"the connection ended after {_size_of(part):,} of {size:,} bytes")


def _open(request: urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            message = f"{request.full_url}: HTTP {error.code} {error.reason}"
        if error.code in _TRY_AGAIN:
            raise _Interrupted(message) from error
        raise InputError(message) from error
    except urllib.error.URLError as error:
        raise _Interrupted(f"no connection to {request.host}: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"no answer from {request.host}: {error!r}") from error
    except ValueError as error:  # a redirect to nowhere
        raise InputError(f"{request.full_url}: {error}") from error


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield what comes in at once: errors of the network, not those of writing, interrupt."""
    while True:
        try:
            block = response.read1(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(f"the connection broke: {error!r}") from error
        if not block:
            return
        yield block


def _write_all(stream: io.FileIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[stream.write(view) :]


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return the position of a reply's first byte in the file, and the file's size if told."""
    if response.status == http.client.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if match is None:
            raise _Interrupted("the server does not say which part of the file it sends")
        return int(match[1]), int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _version(response: http.client.HTTPResponse) -> str | None:
    """Return what If-Range takes: a strong ETag, else a date."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _read_tag(path: Path) -> str | None:
    """Return a saved version if it can be sent, else None."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return text if text and text.isascii() and text.isprintable() else None


def _tag_of(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _progress(path: Path, what: str, size: int | None = None) -> tqdm:
    total = _size_of(path) if size is None else size
    label = f"{what} {path.name.removesuffix('.part')}"
    return tqdm(total=total, unit="B", unit_scale=True, desc=label, disable=None)
