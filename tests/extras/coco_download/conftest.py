from collections.abc import Iterator

import pytest
from helpers.file_server import FileServer


@pytest.fixture
def server(monkeypatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as opened:
        yield opened
