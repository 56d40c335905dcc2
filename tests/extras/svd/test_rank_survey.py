"""The figures of a survey: counted right, timed in turn, and told apart."""

import time

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import FastRCNNConvFCHead

from pose_project.extras.svd.low_rank import LowRankBoxHead
from pose_project.extras.svd.rank_survey import (
    HeadFigures,
    count_multiply_adds,
    format_ranks,
    format_survey,
    interleaved_medians,
    survey_panels,
)

SHAPE = ShapeSpec(channels=4, height=3, width=5)


def test_multiply_adds_with_and_without_a_split():
    region = torch.zeros(1, 4, 3, 5)
    convolution = 6 * 4 * 9 * 15
    full = FastRCNNConvFCHead(SHAPE, conv_dims=[6], fc_dims=[20, 12])
    assert count_multiply_adds(full, region) == convolution + 90 * 20 + 20 * 12
    split = LowRankBoxHead(SHAPE, conv_dims=[6], fc_dims=[20, 12], ranks=[5, 3])
    assert count_multiply_adds(split, region) == convolution + 5 * (90 + 20) + 3 * (20 + 12)


def test_calls_take_turns_and_the_first_of_each_does_not_count():
    called: list[str] = []

    def call(name, seconds):
        called.append(name)
        time.sleep(0.2 if called.count(name) == 1 else seconds)

    slow, quick = interleaved_medians(
        [lambda: call("slow", 0.02), lambda: call("quick", 0.001)], torch.device("cpu"), repeats=5
    )
    assert called == ["slow", "quick"] * 6
    assert 0.02 <= slow < 0.1  # of 0.2 in the first call
    assert quick < slow / 2


def figures(ranks, parameters, **changes) -> HeadFigures:
    values = {
        "multiply_adds": 10 * parameters,
        "energy": (0.5, 0.25),
        "milliseconds": 2.0,
        "regions": 100,
        "ap": {"bbox": 40.0, "keypoints": 30.0},
    }
    return HeadFigures(ranks, parameters, **{**values, **changes})


SURVEY = [
    figures((), 5000, energy=(1.0, 1.0), milliseconds=4.0),
    figures((64, 64), 2000),
    figures((8, 4), 1000, ap={"bbox": 20.0, "keypoints": float("nan")}),
]


def test_table():
    header, _, *rows = format_survey([SURVEY[0], SURVEY[2], SURVEY[1]]).splitlines()
    assert "ms for 100 regions" in header and "keypoints AP" in header
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells == [
        ["none", "5,000", "50,000", "100.0, 100.0", "4", "1.00", "40.0", "30.0"],
        ["64", "2,000", "20,000", "50.0, 25.0", "2", "2.00", "40.0", "30.0"],
        ["8:4", "1,000", "10,000", "50.0, 25.0", "2", "2.00", "20.0", "nan"],
    ]


def test_curves_run_from_small_to_large_heads():
    labels, panels = survey_panels(SURVEY)
    assert labels == ["8:4", "64"]
    precisions, times, energies = panels
    assert precisions.curves["bbox AP"] == [20.0, 40.0]
    assert precisions.original == {"bbox AP": 40.0, "keypoints AP": 30.0}
    assert times.original == {"box head": 4.0}
    assert energies.curves == {"fc1": [50.0, 50.0], "fc2": [25.0, 25.0]}


def test_without_evaluation_there_is_no_panel_for_it():
    without = [figures((), 50, ap={}), figures((4, 4), 10, ap={})]
    _, panels = survey_panels(without)
    assert [panel.title for panel in panels] == ["Time of the box head", "Energy kept"]
    assert "AP" not in format_survey(without)


@pytest.mark.parametrize(("ranks", "text"), [((8,), "8"), ((8, 8), "8"), ((9, 8), "9:8")])
def test_ranks_read_as_they_are_given(ranks, text):
    assert format_ranks(ranks) == text
