"""COCO's numbers, whole and in slices, against pycocotools on the same files."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from pose_project.evaluation import score_results
from pose_project.extras.report.arrays import Results, Truth
from pose_project.extras.report.diagnosis import diagnose
from pose_project.extras.report.headline import AREAS, ResampledTask, resample, score_headline
from pose_project.extras.report.input_files import read_results, read_truth
from pose_project.extras.report.per_keypoint import score_keypoints
from pose_project.extras.report.similarity import pair_up
from pose_project.extras.report.slices import (
    crowd_index,
    occluded_share,
    score_slices,
    touches_border,
)
from pose_project.structures import COCO_PERSON

SIGMAS = list(COCO_PERSON.oks_sigmas)


def random_truth(rng: np.random.Generator, people: int = 80, photos: int = 9) -> dict:
    """People of all sizes in each other's way, some of them crowds, some without keypoints."""
    annotations = []
    for id_ in range(1, people + 1):
        side = rng.uniform(12, 200)
        corner = rng.uniform(0, 250 - side, 2)
        points = np.concatenate(
            [corner + rng.uniform(0, side, (17, 2)), rng.integers(0, 3, (17, 1))], axis=1
        )
        if rng.random() < 0.2:
            points[rng.permutation(17)[:14]] = 0
        if rng.random() < 0.15:
            points[:] = 0
        annotations.append(
            {
                "id": id_,
                "image_id": int(rng.integers(1, photos)) * 7,  # the last photo has nobody
                "category_id": 1,
                "bbox": [*corner, side, side],
                "area": float(side * side * 0.6),
                "iscrowd": int(rng.random() < 0.1),
                "num_keypoints": int((points[:, 2] > 0).sum()),
                "keypoints": points.flatten().tolist(),
            }
        )
    images = [
        {"id": 7 * number, "file_name": f"{number}.jpg", "width": 250, "height": 250}
        for number in range(photos, 0, -1)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.names)}
    return {"images": images, "annotations": annotations, "categories": [category]}


def random_results(rng: np.random.Generator, truth: dict) -> list[dict]:
    """Noisy copies of the annotations, twice the same, in the wrong photo, with equal scores."""
    results = []
    for annotation in truth["annotations"] * 3:
        if rng.random() < 0.3:
            continue
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        points[:, :2] += rng.normal(0, rng.uniform(0.2, 9), (len(points), 2))
        box = np.array(annotation["bbox"], float) + rng.normal(0, 2, 4)
        wrong_photo = truth["images"][int(rng.integers(len(truth["images"])))]["id"]
        results.append(
            {
                "image_id": annotation["image_id"] if rng.random() < 0.9 else wrong_photo,
                "category_id": annotation["category_id"],
                "bbox": [*box[:2], *np.maximum(box[2:], 1)],
                "keypoints": points.flatten().tolist(),
                "score": float(rng.random().__round__(1)),
            }
        )
    return results


@pytest.fixture(params=range(4))
def dataset(request, tmp_path):
    rng = np.random.default_rng(request.param)
    truth = random_truth(rng)
    return truth, random_results(rng, truth), tmp_path


def read(truth: dict, results: list[dict], folder: Path) -> tuple[Truth, Results]:
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    read_in = read_truth(folder / "truth.json")
    return read_in, read_results(folder / "results.json", read_in)


def reference(
    folder: Path, truth: dict, results: list[dict], sigmas: list[float] = SIGMAS, **only
) -> list[float]:
    """Pycocotools' numbers in percent, NaN where undefined."""
    path = folder / "reference.json"
    path.write_text(json.dumps(truth))
    stats = score_results(str(path), results, "keypoints", sigmas, "pycocotools", **only)
    return np.where(stats < 0, np.nan, 100 * stats)


def without(truth: dict, outside: np.ndarray) -> dict:
    """The ground truth, with the others ignored."""
    changed = copy.deepcopy(truth)
    for each, is_outside in zip(changed["annotations"], outside, strict=True):
        each["num_keypoints"] = 0 if is_outside else each["num_keypoints"]
    return changed


def of_row(row: dict) -> list[float]:
    return [row[key] for key in ("AP", "AP50", "AP75", "AR")]


@pytest.mark.parametrize("task", ["keypoints", "bbox"])
def test_headline(dataset, task):
    truth, results, folder = dataset
    read_in = read(truth, results, folder)
    stats = score_results(str(folder / "truth.json"), results, task, SIGMAS, "pycocotools")
    expected = np.where(stats < 0, np.nan, 100 * stats)
    values = list(score_headline(*read_in)[task].values())
    np.testing.assert_allclose(values, expected, atol=1e-6)
    pairing = pair_up(read_in[0].categories[0], read_in[1].predictions[0])
    own = ResampledTask([pairing], task, len(read_in[0].photos)).numbers()
    np.testing.assert_allclose(own, expected, atol=1e-6)
    assert 0 < expected[0] < 100


def test_every_slice(dataset):
    truth, results, folder = dataset
    read_in, found = read(truth, results, folder)
    people = read_in.categories[0].people
    pairing = pair_up(read_in.categories[0], found.predictions[0])
    rows = {(row["by"], row["slice"]): row for row in score_slices(pairing, read_in.photos)}
    whole = reference(folder, truth, results)
    for name, columns in (("medium", 3), ("large", 4)):
        row = rows.pop(("area", name))
        np.testing.assert_allclose([row["AP"], row["AR"]], whole[[columns, columns + 5]], atol=1e-6)
    small = rows.pop(("area", "small"))
    assert small["people"] == ((people.areas <= AREAS["small"][1]) & ~people.ignored).sum()
    counts = people.labelled.sum(axis=1)
    hidden, cut = occluded_share(people), touches_border(people, read_in.photos)
    inside = {
        ("labelled keypoints", "1-5"): (counts >= 1) & (counts <= 5),
        ("labelled keypoints", "6-10"): (counts >= 6) & (counts <= 10),
        ("labelled keypoints", "11-15"): (counts >= 11) & (counts <= 15),
        ("labelled keypoints", "16-17"): counts >= 16,
        ("occlusion", "none"): hidden == 0,
        ("occlusion", "up to a half"): (hidden > 0) & (hidden <= 0.5),
        ("occlusion", "more than a half"): hidden > 0.5,
        ("truncation", "inside the photo"): ~cut,
        ("truncation", "at its border"): cut,
    }
    index = crowd_index(people, len(read_in.photos))
    for key, row in rows.items():
        if key[0] == "crowding":
            bounds = {"easy": (-1, 0.1), "medium": (0.1, 0.8), "hard": (0.8, 1)}[key[1]]
            chosen = read_in.photos.ids[(index > bounds[0]) & (index <= bounds[1])]
            stats = reference(folder, truth, results, img_ids=chosen.tolist())
        else:
            stats = reference(folder, without(truth, ~inside.pop(key)), results)
        np.testing.assert_allclose(of_row(row), stats[[0, 1, 2, 5]], atol=1e-6, err_msg=str(key))
    assert len(rows) >= 6


def test_every_keypoint_alone(dataset):
    truth, results, folder = dataset
    read_in, found = read(truth, results, folder)
    pairing = pair_up(read_in.categories[0], found.predictions[0])
    rows = score_keypoints(pairing, diagnose(pairing), len(read_in.photos))["rows"]
    for k in (0, 5, 16):
        alone, predicted = copy.deepcopy(truth), copy.deepcopy(results)
        alone["categories"][0]["keypoints"] = [COCO_PERSON.names[k]]
        for each in alone["annotations"]:
            each["keypoints"] = each["keypoints"][3 * k : 3 * k + 3]
            each["num_keypoints"] = int(each["keypoints"][2] > 0)
        for each in predicted:
            each["keypoints"] = each["keypoints"][3 * k : 3 * k + 3]
        stats = reference(folder, alone, predicted, [SIGMAS[k]])
        np.testing.assert_allclose(of_row(rows[k]), stats[[0, 1, 2, 5]], atol=1e-6)
    np.testing.assert_allclose(of_row(rows[-1]), reference(folder, truth, results)[[0, 1, 2, 5]])


def test_drawn_photos_are_a_dataset_of_their_own(dataset):
    """A photo that is drawn twice counts as two photos, in pycocotools as well."""
    truth, results, folder = dataset
    for place, each in enumerate(results):
        each["score"] += 1e-4 * place  # copies of a photo are drawn side by side, ties are not
    read_in, found = read(truth, results, folder)
    pairing = pair_up(read_in.categories[0], found.predictions[0])
    task = ResampledTask([pairing], "keypoints", len(read_in.photos))
    weights = np.random.default_rng(1).integers(0, 3, len(read_in.photos)).astype(float)
    drawn = {"images": [], "annotations": [], "categories": truth["categories"]}
    copies = []
    for id_, weight in zip(read_in.photos.ids.tolist(), weights, strict=True):
        for number in range(int(weight)):
            changed = {"image_id": 1000 * number + id_}
            drawn["images"].append({"id": changed["image_id"], "width": 250, "height": 250})
            for each in truth["annotations"]:
                if each["image_id"] == id_:
                    ann_id = len(drawn["annotations"]) + 1
                    drawn["annotations"].append({**each, **changed, "id": ann_id})
            for each in results:
                if each["image_id"] == id_:  # of two copies the second comes just behind
                    score = each["score"] - 1e-9 * number
                    copies.append({**each, **changed, "score": score})
    np.testing.assert_allclose(task.numbers(weights), reference(folder, drawn, copies), atol=1e-6)
    samples = resample([task], len(read_in.photos), 0, "", 50)
    again = resample([task], len(read_in.photos), 0, "", 50)
    np.testing.assert_array_equal(samples, again)
    assert (samples != resample([task], len(read_in.photos), 1, "", 50)).any()


def test_recorded_results_give_the_recorded_numbers(test_data, tmp_path):
    """The boxes have no keypoints: one is made up, which the boxes do not heed."""
    for case in json.loads((test_data / "evaluator" / "expected.json").read_text())["cases"]:
        truth, results = (
            json.loads((test_data / "evaluator" / case[key]).read_text()) for key in ("gt", "dt")
        )
        for each in truth["categories"]:
            each.setdefault("keypoints", ["centre"])
        for each in truth["annotations"]:
            each.setdefault("keypoints", [0, 0, 0])
        for each in results:
            each.setdefault("keypoints", [0, 0, 0])
        read_in, found = read(truth, results, tmp_path)
        expected = np.where(np.array(case["stats"]) < 0, np.nan, 100 * np.array(case["stats"]))
        scores = list(score_headline(read_in, found)[case["iou_type"]].values())
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        pairings = [
            pair_up(*each) for each in zip(read_in.categories, found.predictions, strict=True)
        ]
        own = ResampledTask(pairings, case["iou_type"], len(read_in.photos)).numbers()
        np.testing.assert_allclose(own, expected, atol=1e-6)
