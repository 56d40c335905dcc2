"""The page in a real browser."""

import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from helpers.browser import note_complaints, open_browser
from helpers.server import photo_bytes

pytestmark = pytest.mark.integration


@pytest.fixture
def browser() -> Iterator[object]:
    """A Chromium; skipped, saying so, where there is none."""
    with open_browser(viewport={"width": 1000, "height": 900}) as context:
        yield context


def pixels(tab) -> np.ndarray:
    return np.frombuffer(tab.locator("#canvas").screenshot(), np.uint8)


def test_page(server, browser):
    tab = browser.new_page()
    complaints, requests = note_complaints(tab)
    address = f"http://127.0.0.1:{server.port}/"
    tab.goto(address)
    name = "<img src=x onerror='document.title=1'>.png"
    photo = {"name": name, "mimeType": "image/png", "buffer": photo_bytes(3, 120, 160)}
    tab.set_input_files("#file", photo)
    tab.wait_for_selector("#result:visible")
    status = tab.locator("#status")
    tab.fill("#people", "0")
    _, answer = server.poses(photo["buffer"])
    people = answer["people"]
    assert len(people) > 1
    assert f"{len(people)} of {len(people)} people, {17 * len(people)} key" in status.inner_text()
    assert name in status.inner_text() and tab.title() == "Poses"
    posted = sum(url.endswith("api/poses") for url in requests)

    # thresholds, without another request
    everybody = pixels(tab)
    score = sorted(each["score"] for each in people)[-1]
    tab.fill("#people", f"{np.floor(100 * score) / 100:.2f}")
    expected = sum(each["score"] >= np.floor(100 * score) / 100 for each in people)
    assert f"{expected} of {len(people)} people" in status.inner_text()
    tab.fill("#people", "1")
    assert f"0 of {len(people)} people, 0 keypoints" in status.inner_text()
    assert not np.array_equal(pixels(tab), everybody)
    tab.fill("#people", "0")
    tab.fill("#keypoints", "100")  # of the best: only that one is left
    assert "people, 1 keypoints" in status.inner_text()

    # the keypoint under the mouse
    points = [point for each in people for point in each["keypoints"]]
    best = max(points, key=lambda point: point["score"])
    frame = tab.locator("#canvas").bounding_box()
    scale = frame["width"] / answer["width"]
    tab.mouse.move(frame["x"] + best["x"] * scale + 2, frame["y"] + best["y"] * scale + 2)
    hint = tab.locator("#hint").inner_text()
    assert best["name"] in hint and f"{best['score']:.3f}" in hint
    assert f"{best['covariance'][0][1]:.2f}" in hint and "px²" in hint
    tab.mouse.move(5, 5)
    assert tab.locator("#hint").is_hidden()
    assert sum(url.endswith("api/poses") for url in requests) == posted == 1

    with tab.expect_download() as download:
        tab.click("#save-json")
    saved = json.loads(download.value.path().read_text())
    assert [each["box"] for each in saved["people"]] == [each["box"] for each in people]
    with tab.expect_download() as download:
        tab.click("#save-picture")
    assert download.value.suggested_filename.endswith("_poses.png")
    picture = cv2.imread(str(download.value.path()))
    assert picture.shape[0] * 160 == picture.shape[1] * 120 and picture.shape[0] >= 120

    assert complaints == []
    assert all(url.startswith((address, f"blob:{address}")) for url in requests)

    # the server's reason is shown, and the next photo is another chance; dropped this time
    tab.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no"})
    tab.wait_for_selector("#status.error")
    assert "not a photo that can be read" in status.inner_text()
    tab.evaluate(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}));
        window.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); }""",
        list(photo_bytes(4)),
    )
    # found by the library: the page's policy forbids to run what a test would bring
    status.filter(has_text="dropped.png: ").wait_for()
    assert all("415" in each for each in complaints)  # Chromium's own line for such an answer
