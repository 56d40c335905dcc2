"""PCK, distances, calibration, crowding: numbers that one can work out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_project.extras.report.arrays import Category, People, Photos, Predictions
from pose_project.extras.report.calibration import (
    ONE_SIGMA,
    fit_temperature,
    reliability,
    score_calibration,
)
from pose_project.extras.report.diagnosis import diagnose
from pose_project.extras.report.headline import interval, mean_where_defined
from pose_project.extras.report.matching import match, rank_in_photo
from pose_project.extras.report.per_keypoint import reference_lengths, score_keypoints
from pose_project.extras.report.similarity import Pairs, pair_up
from pose_project.extras.report.slices import crowd_index, occluded_share, touches_border
from pose_project.structures import KeypointSchema

SCHEMA = KeypointSchema(("left_shoulder", "right_hip", "head", "neck"), oks_sigmas=(0.1,) * 4)
# labelled, of a person of 100 x 100 pixels: torso 50 px, head 20 px, diagonal 141 px, sigma 20 px
POINTS = np.array([[10.0, 10, 2], [40, 50, 1], [50, 0, 2], [50, 20, 2]])


def people_at(corners: list[tuple[float, float]], photo: list[int] | None = None) -> People:
    count = len(corners)
    keypoints = np.tile(POINTS, (count, 1, 1))
    keypoints[..., :2] += np.array(corners, float).reshape(-1, 1, 2)
    boxes = np.array([[x, y, 100.0, 100.0] for x, y in corners]).reshape(-1, 4)
    places = np.array(photo or [0] * count, int)
    nobody = np.zeros(count, bool)
    return People(np.arange(count), places, boxes, np.full(count, 1e4), keypoints, nobody, nobody)


def predictions_of(people: People, scores: list[float], shift: np.ndarray) -> Predictions:
    keypoints = people.keypoints.copy()
    keypoints[..., :2] += shift
    keypoints[..., 2] = 0.75
    areas = people.boxes[:, 2] * people.boxes[:, 3]
    return Predictions(people.photo, np.array(scores), people.boxes, areas, keypoints)


def test_pck_and_distances():
    people = people_at([(0, 0)])
    shift = np.array([[3.0, 4.0], [0, 0], [0, 11], [0, -30]])
    pairing = pair_up(Category(1, "p", SCHEMA, people), predictions_of(people, [0.9], shift))
    scored = score_keypoints(pairing, diagnose(pairing), 1)
    shoulder, hip, head, neck, together = scored["rows"]
    assert shoulder["error_px"] == {"mean": 5.0, "median": 5.0}
    assert shoulder["error_sigmas"]["mean"] == pytest.approx(5 / 20)
    assert shoulder["pck"]["torso"] == {"0.05": 0.0, "0.1": 100.0, "0.2": 100.0}  # 5 of 50
    assert head["pck"]["box diagonal"] == {"0.05": 0.0, "0.1": 100.0, "0.2": 100.0}  # 11 of 141
    assert shoulder["pck"]["head"]["0.2"] == 0.0  # 5 of 20
    assert neck["error_px"]["mean"] == 30.0
    assert together["error_px"] == {"mean": pytest.approx(46 / 4), "median": 8.0}
    assert together["pck"]["box diagonal"]["0.05"] == 50.0
    assert together["measured"] == together["labelled"] == 4
    curve = scored["curves"]["percent"]["all"]
    assert curve[0] == 25.0 and curve[-1] == 100.0
    assert (np.diff(curve) >= 0).all()
    assert hip["AP"] == pytest.approx(100)
    assert neck["AP"] == 0.0  # exp(-(30 / 20)^2 / 2) is 0.32


def test_lengths_need_both_ends():
    people = people_at([(0, 0), (200, 0)])
    people.keypoints[1, 3, 2] = 0
    lengths = reference_lengths(people, SCHEMA)
    np.testing.assert_allclose(lengths["torso"], [50, 50])
    np.testing.assert_allclose(lengths["head"], [20, np.nan])
    assert list(reference_lengths(people, KeypointSchema(("a", "b", "c", "d")))) == ["box diagonal"]


@pytest.mark.parametrize(("distance", "is_near"), [(19.9, 1), (20.1, 0)])
def test_one_sigma(distance, is_near):
    people = people_at([(0, 0)])
    shift = np.array([[distance, 0], [0, 0], [0, 0], [0, 0]])
    pairing = pair_up(Category(1, "p", SCHEMA, people), predictions_of(people, [0.9], shift))
    assert (pairing.similarity[0, 0] >= ONE_SIGMA) == bool(is_near)
    pairing.predictions.keypoints[0, 0, 2] = 0.15
    calibration = score_calibration(pairing, diagnose(pairing))["keypoints"]
    low, high = calibration["bins"]
    assert (low["count"], low["outcome"]) == (1, is_near)
    assert (high["count"], high["score"], high["outcome"]) == (3, 0.75, 1)
    expected = (abs(0.15 - is_near) + 3 * 0.25) / 4
    assert calibration["ece"] == pytest.approx(expected)


def test_instances_are_calibrated_against_oks():
    """One prediction is exact, one of nobody, and one of a crowd, which does not count."""
    people = people_at([(0, 0), (1000, 0), (2000, 0)])
    predictions = predictions_of(people, [0.8, 0.3, 0.55], np.zeros(2))
    predictions.keypoints[1, :, :2] += 5000
    people.is_crowd[2] = True
    pairing = pair_up(Category(1, "p", SCHEMA, people), predictions)
    calibration = score_calibration(pairing, diagnose(pairing))["instances"]
    assert [(row["score"], row["outcome"]) for row in calibration["bins"]] == [(0.3, 0), (0.8, 1)]
    assert calibration["ece"] == pytest.approx((0.3 + 0.2) / 2)


def test_scores_that_are_no_probabilities_have_bins_but_no_error():
    curve = reliability(np.array([-2.0, 3.0, 8.0]), np.array([0.0, 0.5, 1.0]))
    assert curve["ece"] is None and curve["temperature"] is None
    assert (curve["bins"][0]["low"], curve["bins"][-1]["high"]) == (-2, 8)
    assert reliability(np.zeros(0), np.zeros(0)) is None
    assert reliability(np.ones(3), np.ones(3)) is None


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_again(truth):
    rng = np.random.default_rng(0)
    logits = rng.normal(1, 2, 20_000)
    outcomes = (rng.random(20_000) < 1 / (1 + np.exp(-logits / truth))).astype(float)
    scores = 1 / (1 + np.exp(-logits))
    assert fit_temperature(scores, outcomes) == pytest.approx(truth, rel=0.05)
    curve = reliability(scores, outcomes)
    assert curve["ece_at_temperature"] < 0.02
    assert truth == 1.0 or curve["ece"] > 2 * curve["ece_at_temperature"]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30))
def test_bins_hold_every_score_once(pairs):
    scores, outcomes = np.array(pairs, dtype=float).T
    curve = reliability(scores, outcomes)
    if len(set(scores)) == 1:
        assert curve is None
        return
    assert sum(row["count"] for row in curve["bins"]) == len(pairs)
    mean = sum(row["count"] * row["outcome"] for row in curve["bins"]) / len(pairs)
    assert mean == pytest.approx(outcomes.mean())
    assert all(row["low"] <= row["score"] + 1e-12 <= row["high"] + 1e-9 for row in curve["bins"])
    assert 0 <= curve["ece"] <= 1


def test_crowding():
    """Two people whose boxes overlap by half, somebody alone, and a photo with nobody."""
    people = people_at([(0, 0), (45, 0), (0, 0)], [0, 0, 1])
    # of the right one, the shoulder (55, 10) and three more lie in the left box: 85, 95, 95
    # of the left one, only head and neck (50) lie in the right box, which starts at 45
    index = crowd_index(people, 3)
    np.testing.assert_allclose(index, [(4 / 4 + 2 / 4) / 2, 0, np.nan])
    people.is_crowd[1] = True
    np.testing.assert_allclose(crowd_index(people, 3), [0, 0, np.nan])


def test_occlusion_and_truncation():
    people = people_at([(0, 50), (100, 100), (300, 300)])
    np.testing.assert_allclose(occluded_share(people), [0.25] * 3)
    photos = Photos(np.array([1]), ["a"], np.array([[400.5, 500.0]]))
    assert touches_border(people, photos).tolist() == [True, False, True]
    unknown = Photos(np.array([1]), ["a"], np.array([[np.nan, np.nan]]))
    assert not touches_border(people, unknown).any()


def test_a_crowd_is_never_used_up_and_comes_last():
    people = people_at([(0, 0), (0, 0)])
    people.is_crowd[0] = True
    predictions = predictions_of(people_at([(0, 0)] * 3), [0.9, 0.8, 0.7], np.zeros(2))
    pairs = Pairs(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1] * 3))
    matches = match(predictions, people, pairs, np.ones(6), people.is_crowd)
    assert matches.person[0].tolist() == [1, 0, 0]
    assert matches.counted[0].tolist() == [True, False, False]


def test_ranks_beyond_the_limit_are_left_out():
    photo, scores = np.array([3, 1, 3, 3]), np.array([0.2, 0.9, 0.2, 0.5])
    assert rank_in_photo(photo, scores).tolist() == [1, 0, 2, 0]
    people = people_at([(0, 0)] * 4, photo.tolist())
    predictions = predictions_of(people, scores.tolist(), np.zeros(2))
    no_pairs = Pairs(np.zeros(0, int), np.zeros(0, int))
    matches = match(predictions, people, no_pairs, np.zeros(0), people.is_crowd, max_detections=2)
    assert matches.prediction.tolist() == [1, 3, 0]


def test_undefined_numbers_stay_undefined():
    rows = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(mean_where_defined(rows), [2, 5, np.nan])
    samples = np.array([[1.0, np.nan], [2.0, np.nan]] * 100)
    low, high = interval(samples)
    np.testing.assert_array_equal([low, high], [[1, np.nan], [2, np.nan]])
