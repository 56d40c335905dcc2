import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.constructed_results import AREA, MIRROR, SIGMAS, inject, place, result, truth_of

from pose_project.extras.report.diagnosis import (
    INVERSION,
    JITTER,
    KINDS,
    MISS,
    NOT_LABELLED,
    SWAP,
    Diagnosis,
    diagnose,
)
from pose_project.extras.report.gains import corrected_keypoints, optimal_scores, score_gains
from pose_project.extras.report.gallery import ERRORS, photo_records, worst_photos
from pose_project.extras.report.input_files import read_results, read_truth
from pose_project.extras.report.similarity import Pairing, pair_up


@pytest.fixture
def paired(tmp_path):
    def pair(truth: dict, results: list[dict]) -> Pairing:
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "results.json").write_text(json.dumps(results))
        read = read_truth(tmp_path / "truth.json")
        (predictions,) = read_results(tmp_path / "results.json", read).predictions
        return pair_up(read.categories[0], predictions), read.photos

    return pair


@pytest.mark.parametrize("seed", range(8))
def test_what_was_put_in_comes_back(paired, seed):
    rng = np.random.default_rng(seed)
    truth = truth_of(photos=6, people=3, rng=rng)
    results, injected = inject(truth, rng, missed=int(rng.integers(0, 4)), extra=int(seed))
    pairing, photos = paired(truth, results)
    diagnosis = diagnose(pairing)
    report = score_gains(pairing, diagnosis, len(photos))
    for kind in KINDS:
        expected = [injected.get((kind, k), 0) for k in range(17)]
        assert report["per_keypoint"][kind] == expected, kind
        assert report["keypoints"][kind] == sum(expected)
    assert report["false_positives"] == injected["false_positives"]
    assert report["false_negatives"] == injected["false_negatives"]
    assert report["matched"] == 18 - injected["false_negatives"]
    for record in photo_records([pairing], [diagnosis], photos):
        expected = injected["photos"][record["id"]]
        assert record["errors"] == {error: expected[error] for error in ERRORS}
    gains = report["gain"]
    assert all(gain > -1e-9 for gain in gains.values())
    assert gains["miss"] > 0
    assert (gains["false_negatives"] > 0) == (injected["false_negatives"] > 0)


def test_perfect_predictions_have_nothing_to_gain(paired):
    truth = truth_of(2, 2, np.random.default_rng(0))
    results = [
        result(np.reshape(each["keypoints"], (17, 3))[:, :2], each["image_id"], 0.9)
        for each in truth["annotations"]
    ]
    pairing, photos = paired(truth, results)
    report = score_gains(pairing, diagnose(pairing), len(photos))
    assert report["AP"] == pytest.approx(100)
    assert report["keypoints"] == {"good": 60, "jitter": 0, "inversion": 0, "swap": 0, "miss": 0}
    assert set(report["gain"].values()) == {0}
    assert worst_photos([pairing], [diagnose(pairing)], photos, []) == []


@pytest.mark.parametrize("similarity", [0.49, 0.51, 0.84, 0.86])
@pytest.mark.parametrize("kind", [JITTER, INVERSION, SWAP, MISS])
def test_corrections_are_no_oracle(paired, kind, similarity):
    """Jitter becomes just good, a miss just jitter; the others are as far off as before."""
    truth = truth_of(1, 2, np.random.default_rng(0))
    first, second = (np.reshape(each["keypoints"], (17, 3)) for each in truth["annotations"])
    k = int(np.flatnonzero((first[:, 2] > 0) & (first[MIRROR, 2] > 0) & (second[:, 2] > 0))[1])
    scale = 2 * SIGMAS[k] * np.sqrt(AREA)
    aim = {INVERSION: first[MIRROR[k], :2], SWAP: second[k, :2]}.get(kind, first[k, :2])
    points = place(0)
    points[k] = aim + [0, scale * np.sqrt(-2 * np.log(similarity))]
    pairing, _ = paired(truth, [result(points, 1, 0.5)])
    diagnosis = diagnose(pairing)
    found = diagnosis.kinds[0, k]
    if similarity < 0.5:
        assert found == MISS
    elif kind in (INVERSION, SWAP):
        assert found == kind
    else:
        assert KINDS[found] == ("good" if similarity > 0.85 else "jitter")
    moved = corrected_keypoints(pairing, diagnosis, kind)[0, k]
    distance = np.linalg.norm(moved - first[k, :2])
    corrected = np.exp(-((distance / scale) ** 2) / 2)
    if found == kind:
        expected = {JITTER: 0.85, MISS: 0.5}.get(kind, similarity)
        assert corrected == pytest.approx(expected, abs=1e-3)
    else:
        np.testing.assert_array_equal(moved, points[k])


def test_the_nearest_place_decides(paired):
    """Both eyes are within the tolerance of a small person; the point lies on the wrong one."""
    truth = truth_of(1, 1, np.random.default_rng(0))
    labels = np.reshape(truth["annotations"][0]["keypoints"], (17, 3))
    labels[:, 2] = 2
    labels[:, :2] = place(0)
    labels[2, :2] = labels[1, :2] + [3, 0]
    truth["annotations"][0]["keypoints"] = labels.flatten().tolist()
    points = labels[:, :2].copy()
    points[1] += [2, 0]
    pairing, _ = paired(truth, [result(points, 1, 0.5)])
    diagnosis = diagnose(pairing)
    assert KINDS[diagnosis.kinds[0, 1]] == "inversion"
    assert KINDS[diagnosis.kinds[0, 2]] == "good"


def test_duplicates_and_crowds(paired):
    """The second prediction of a person is a false positive; one of a crowd is nothing at all."""
    truth = truth_of(1, 2, np.random.default_rng(0))
    truth["annotations"][1]["iscrowd"] = 1
    results = [result(place(0), 1, 0.9), result(place(0) + 3, 1, 0.8), result(place(1), 1, 0.7)]
    pairing, photos = paired(truth, results)
    diagnosis = diagnose(pairing)
    assert diagnosis.prediction.tolist() == [0]
    assert diagnosis.false_positives.tolist() == [1]
    assert diagnosis.false_negatives.tolist() == []
    (record,) = photo_records([pairing], [diagnosis], photos)
    (photo,) = worst_photos([pairing], [diagnosis], photos, [record])
    kinds = [
        (each["kind"], each.get("matched"), each.get("ignored")) for each in photo["instances"]
    ]
    assert kinds == [
        ("truth", None, False),
        ("truth", None, True),
        ("prediction", 1, None),
        ("prediction", None, None),
    ]


def test_unlabelled_keypoints_count_for_nothing(paired):
    truth = truth_of(1, 1, np.random.default_rng(0))
    labels = np.reshape(truth["annotations"][0]["keypoints"], (17, 3))
    pairing, _ = paired(truth, [result(place(0), 1, 0.5)])
    diagnosis = diagnose(pairing)
    assert ((diagnosis.kinds[0] == NOT_LABELLED) == (labels[:, 2] == 0)).all()


def test_scores_in_the_order_of_oks_are_optimal(paired):
    """Duplicates as well: the better one of a person counts, whichever was sure."""
    rng = np.random.default_rng(3)
    truth = truth_of(4, 3, rng)
    results = inject(truth, rng, missed=1, extra=5)[0] + inject(truth, rng, missed=2, extra=0)[0]
    pairing, photos = paired(truth, results)
    report = score_gains(pairing, diagnose(pairing), len(photos))
    assert report["gain"]["optimal_score"] > 1
    best = replace(pairing.predictions, scores=optimal_scores(pairing))
    again = pair_up(pairing.category, best)
    rescored = score_gains(again, diagnose(again), len(photos))
    assert rescored["gain"]["optimal_score"] == pytest.approx(0)
    assert rescored["AP"] == pytest.approx(report["AP"] + report["gain"]["optimal_score"])
    for seed in range(20):
        scores = np.random.default_rng(seed).random(len(best.scores))
        other = pair_up(pairing.category, replace(best, scores=scores))
        assert score_gains(other, diagnose(other), len(photos))["AP"] <= rescored["AP"]


def test_nobody_is_found(paired):
    truth = truth_of(1, 1, np.random.default_rng(0))
    pairing, photos = paired(truth, [result(place(0) + 9000, 1, 0.5)])
    diagnosis = diagnose(pairing)
    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis.kinds.shape == (0, 17)
    report = score_gains(pairing, diagnosis, len(photos))
    assert (report["matched"], report["false_negatives"], report["false_positives"]) == (0, 1, 1)
    assert report["AP"] == 0
