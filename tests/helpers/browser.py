"""A real browser for the pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def open_browser(**context: Any) -> Iterator[Any]:
    """Yield a context of a Chromium; skip the test, saying so, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as library:
        opened = library.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened.new_context(**context)
        opened.close()


def note_complaints(tab: Any) -> tuple[list[str], list[str]]:
    """Return lists that fill with what the page complains of and with what it asks for."""
    complaints: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    return complaints, requests
