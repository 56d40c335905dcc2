"""Planted errors are found with a model that sees well, and shown on the doctor's page."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.label_errors import count_found, plant
from pose_project.commands.command_line import main
from pose_project.extras.labelling.error_search import write_suspects
from pose_project.extras.labelling.label_errors import PERSON, POINT, SIDES, Suspect, suspects_of
from pose_project.extras.labelling.views import Candidate
from pose_project.extras.synthetic.generation import ensure_synthetic_dataset
from pose_project.structures import COCO_PERSON
from pose_project.structures.coordinates import PIXEL_CENTRE
from pose_project.utils.json_files import read_json

HEATMAP = 28


def seen_as_labelled(label: dict, rng: np.random.Generator, noise: float) -> Candidate:
    """Return somebody whose keypoints a model sees where they are, within ``noise`` sigmas."""
    x, y, width, height = label["bbox"]
    points = np.reshape(label["keypoints"], (-1, 3)).astype(float)
    points[:, :2] += PIXEL_CENTRE
    unlabelled = points[:, 2] == 0
    points[unlabelled, :2] = (x + width / 2, y + height / 2)
    sigma = np.array(COCO_PERSON.oks_sigmas) * np.sqrt(label["area"])
    points[:, :2] += rng.normal(0, noise, (17, 2)) * sigma[:, None]
    points[:, 2] = np.where(unlabelled, 0.1, 0.9)
    box = np.array([x, y, x + width, y + height])
    axis = (np.arange(HEATMAP) + 0.5) / HEATMAP
    logits = [
        -((axis[None] * width + x - px) ** 2 + (axis[:, None] * height + y - py) ** 2)
        / (2 * max(s, 1.0) ** 2)
        for (px, py, _), s in zip(points, sigma, strict=True)
    ]
    covariances = np.maximum(sigma, 1.0)[:, None, None] ** 2 * np.eye(2)
    scores = np.full(3, 0.95)
    return Candidate(
        scores, box, 0, points, covariances, np.ones(17), tuple(range(17)), np.stack(logits)
    )


@pytest.fixture(scope="module")
def dataset() -> Path:
    return ensure_synthetic_dataset("demo", "val", 100)


def search(root: Path, seed: int, noise: float) -> tuple[list[Suspect], list, dict]:
    content = read_json(root / "annotations" / "person_keypoints_val2017.json")
    wrong, planted = plant(content, seed)
    rng = np.random.default_rng(seed)
    suspects: list[Suspect] = []
    for image in content["images"]:
        true = [e for e in content["annotations"] if e["image_id"] == image["id"]]
        people = [seen_as_labelled(each, rng, noise) for each in true if not each["iscrowd"]]
        labels = [e for e in wrong["annotations"] if e["image_id"] == image["id"]]
        suspects += suspects_of(image["id"], labels, people, {1: 0}, COCO_PERSON)
    return suspects, planted, wrong


def test_planted_errors_come_first(dataset: Path) -> None:
    suspects, planted, _ = search(dataset, seed=0, noise=0.7)

    found = count_found(suspects, planted)

    assert sum(found.values()) >= 90
    assert min(found.values()) >= 25


def test_labels_that_are_right_score_low(dataset: Path) -> None:
    content = read_json(dataset / "annotations" / "person_keypoints_val2017.json")
    rng = np.random.default_rng(0)
    for image in content["images"]:
        labels = [e for e in content["annotations"] if e["image_id"] == image["id"]]
        people = [seen_as_labelled(each, rng, 0.5) for each in labels if not each["iscrowd"]]
        for each in suspects_of(image["id"], labels, people, {1: 0}, COCO_PERSON):
            assert each.score < 0.3, each


def test_kinds_and_names_of_what_is_found(dataset: Path) -> None:
    content = read_json(dataset / "annotations" / "person_keypoints_val2017.json")
    label = max(content["annotations"], key=lambda each: each["area"] * (1 - each["iscrowd"]))
    person = seen_as_labelled(label, np.random.default_rng(0), 0.2)
    moved = copy.deepcopy(label)
    row = next(i for i in range(16, -1, -1) if label["keypoints"][3 * i + 2] > 0)
    moved["keypoints"][3 * row] += 0.8 * np.sqrt(label["area"])
    exchanged = copy.deepcopy(label)
    points = np.reshape(label["keypoints"], (-1, 3))[list(COCO_PERSON.hflip_indices)]
    exchanged["keypoints"] = points.flatten().tolist()
    crowd = {**label, "iscrowd": 1}

    def found(*labels: dict) -> list[Suspect]:
        return suspects_of(1, labels, [person], {1: 0}, COCO_PERSON)

    assert [each.code for each in found(moved)] == [POINT]
    assert found(moved)[0].keypoints == (COCO_PERSON.names[row],)
    assert [each.code for each in found(exchanged)] == [SIDES]
    assert [each.code for each in found()] == [PERSON]
    assert found(crowd) == []


def test_the_doctors_page_shows_them(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    suspects, _, wrong = search(dataset, seed=1, noise=0.5)
    labels, listed = tmp_path / "wrong.json", tmp_path / "suspects.json"
    for each in wrong["annotations"]:
        del each["bbox"]  # as tools without boxes export
    labels.write_text(json.dumps(wrong))
    shown = sorted(suspects, key=lambda each: -each.score)[:6]
    write_suspects(listed, shown, labels, COCO_PERSON)
    arguments = ["doctor", str(labels), "--images", str(dataset / "val2017")]
    arguments += ["--html", str(tmp_path / "page"), "--suspects", str(listed)]

    main(arguments)

    page = (tmp_path / "page" / "index.html").read_text()
    assert "6 labels that a model contradicts" in page
    assert page.count("as the model sees it</figcaption>") == 6
    labelled = sum(each.annotation_id is not None for each in shown)
    assert page.count("as labelled</figcaption>") == labelled > 0
    assert all(each.why.split(";")[0] in page for each in shown)

    listed.write_text('{"suspects": [{"image_id": -1}]}')
    assert main(arguments) == 2
    assert "does not belong to" in capsys.readouterr().err
    assert main(arguments[:2] + arguments[-2:]) == 2  # no page to show them on
