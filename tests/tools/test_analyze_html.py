"""The page: what is in it, and how it behaves in a real browser that has no network."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.browser import note_complaints, open_browser
from helpers.constructed_results import inject, truth_of
from helpers.repository import load_tool

from pose_project.extras.report.analysis import analyse, write_json
from pose_project.extras.report.html import require_plotly, write_html
from pose_project.utils.errors import InputError

NAME = '<img src=x onerror="document.title=1">&"\'</script><script>document.title=2</script>.png'


@pytest.fixture
def page(tmp_path, monkeypatch) -> Path:
    """The page of 6 photos, one of which is not there and one is named to do harm."""
    monkeypatch.setattr("pose_project.extras.report.analysis.RESAMPLES", 20)
    rng = np.random.default_rng(0)
    truth = truth_of(6, 2, rng)
    results, _ = inject(truth, rng, missed=2, extra=3)
    truth["images"][1]["file_name"] = "../truth.json"
    truth["images"][2]["file_name"] = NAME
    truth["categories"][0] |= {"name": NAME, "skeleton": [[1, 2], [6, 8]]}
    truth["categories"][0]["keypoints"][0] = NAME
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "photos").mkdir()
    for number in (1, 4, 5):
        noise = rng.integers(0, 255, (100, 400, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"photos/{number}.jpg"), noise)
    (tmp_path / "photos/6.jpg").write_text("no photo")
    monkeypatch.chdir(tmp_path)
    results_json = Path("results.json")
    report = analyse(Path("truth.json"), results_json, results_json, images=Path("photos"))
    write_json(report, tmp_path / "report/report.json")
    write_html(report, tmp_path / "report/report.html")
    return tmp_path / "report/report.html"


def test_names_are_no_markup_and_links_stay_in_the_folder(page):
    text = page.read_text()
    assert "<img src=x" not in text
    assert "<script>document" not in text
    assert text.count("data:image/jpeg;base64,") == 3
    markup = text.split("<script>")[0]  # before the library
    links = [part.split('"')[0] for part in markup.split('<a href="')[1:]]
    photos = page.parent.parent / "photos"
    assert set(links) <= {(photos / f"{number}.jpg").as_uri() for number in (1, 4, 5, 6)}
    assert len(links) == 4


def test_without_plotly_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    with pytest.raises(InputError, match="pip install"):
        require_plotly()
    names = ["--annotations", "a.json", "--results", "b.json", "--output", str(tmp_path / "out")]
    assert load_tool("analyze").main(names) == 2
    assert "needs plotly" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def browser() -> Iterator[object]:
    """A Chromium without a network; skipped, saying so, where there is none."""
    with open_browser(offline=True) as context:
        yield context


@pytest.mark.integration
def test_page_in_a_browser(page, browser):
    tab = browser.new_page()
    complaints, requests = note_complaints(tab)
    tab.goto(page.as_uri())
    tab.wait_for_function("document.querySelectorAll('.plot .main-svg').length >= 14")
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page.as_uri()]
    assert tab.title().startswith("Evaluation of results.json")  # no name ran as a script
    report = json.loads(page.with_name("report.json").read_text())
    ap = report["headline"]["keypoints"]["AP"]["value"]
    assert f"{ap:.1f}" in tab.locator("#headline-keypoints").inner_text()
    assert NAME in tab.locator("h2").nth(1).inner_text()

    records = {each["id"]: each for each in report["photos"]}
    shown = [records[each["id"]] for each in report["gallery"]]
    assert tab.locator("figure:visible").count() == len(shown)
    for error in ("false_negative", "swap"):
        tab.select_option("#only", error)
        tab.select_option("#sort", error)
        counts = sorted((each["errors"][error] for each in shown), reverse=True)
        found = tab.locator("figure:visible").evaluate_all(
            f"figures => figures.map(figure => Number(figure.getAttribute('data-{error}')))"
        )
        assert found == [count for count in counts if count]
    tab.select_option("#only", "")
    tab.fill("#name", "onerror")
    assert tab.locator("figure:visible").count() == 1
    tab.fill("#name", "")
    assert tab.locator("g.truth:visible").count() > 0
    tab.uncheck("#truth")
    assert tab.locator("g.truth:visible").count() == 0
    before = tab.locator("g.prediction:visible").count()
    tab.fill("#score", "0.75")
    assert 0 < tab.locator("g.prediction:visible").count() < before

    table = tab.locator("table.sortable").last
    table.locator("th").nth(1).click()
    falling = [float(text) for text in table.locator("td:nth-child(2)").all_inner_texts()]
    assert falling == sorted(falling, reverse=True)
    table.locator("th").nth(1).click()
    assert table.locator("td:nth-child(2)").first.inner_text() == f"{min(falling):.1f}"
