import cv2
import numpy as np
import pytest
from detectron2.structures import Boxes, pairwise_iou
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import as_tensor

from pose_project.extras.selective_search.grouping import SIMILARITIES, group_regions
from pose_project.extras.selective_search.regions import (
    COLOUR_SPACES,
    Regions,
    convert_colour,
    describe_regions,
    quantise_colour,
    quantise_texture,
)
from pose_project.extras.selective_search.search import (
    MODES,
    group_all,
    rank_boxes,
    selective_search,
)

pytest.importorskip("skimage", reason="selective search needs scikit-image")
SHAPES = [[10, 20, 40, 70], [60, 30, 100, 60]]  # the last pixel of a rectangle is one less


def shapes() -> np.ndarray:
    photo = np.full((90, 120, 3), (60, 150, 60), np.uint8)
    cv2.rectangle(photo, (10, 20), (39, 69), (30, 30, 200), -1)
    cv2.rectangle(photo, (60, 30), (99, 59), (200, 60, 30), -1)
    return photo


def best_overlaps(boxes: np.ndarray) -> list[float]:
    found = Boxes(as_tensor(boxes)), Boxes(as_tensor(SHAPES, dtype=as_tensor(boxes).dtype))
    return pairwise_iou(*found).amax(dim=0).tolist()


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_shapes_are_found_to_the_pixel(mode):
    boxes = selective_search(shapes(), mode)
    assert min(best_overlaps(boxes)) > 0.7
    everything = rank_boxes(group_all(shapes(), MODES[mode]), np.random.default_rng(0))
    assert best_overlaps(everything.astype(np.float32)) == [1.0, 1.0]
    assert [0, 0, 120, 90] in everything.tolist()


def test_boxes_of_a_photo_that_is_scaled_down():
    large = np.repeat(np.repeat(shapes(), 4, axis=0), 4, axis=1)
    boxes = selective_search(large, max_side=120)
    assert min(best_overlaps(boxes / 4)) > 0.7
    np.testing.assert_array_equal(boxes, 4 * selective_search(shapes()))


def test_a_pure_function_without_duplicates_within_limits():
    photo = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 3)
    boxes = selective_search(photo)
    assert np.array_equal(boxes, selective_search(photo.copy()))
    assert np.array_equal(boxes[:5], selective_search(photo, limit=5))
    assert len(np.unique(boxes, axis=0)) == len(boxes) > 20
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [80, 60]).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
    assert not np.array_equal(boxes, selective_search(photo, seed=1))
    overlaps = pairwise_iou(Boxes(as_tensor(boxes)), Boxes(as_tensor(boxes)))
    assert overlaps.fill_diagonal_(0).max() <= 0.7


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (50, 1), (2, 2), (1, 2000)])
def test_photos_of_odd_sizes(size_hw):
    photo = np.zeros((*size_hw, 3), np.uint8)
    assert selective_search(photo).tolist() == [[0, 0, size_hw[1], size_hw[0]]]


def test_a_photo_of_one_colour_is_one_region():
    assert selective_search(np.full((40, 30, 3), 99, np.uint8)).tolist() == [[0, 0, 30, 40]]


@pytest.mark.parametrize("space", COLOUR_SPACES)
def test_colour_spaces_stay_within_0_and_1(space):
    photo = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    photo[0, 0], photo[0, 1] = 0, 255
    channels = convert_colour(photo, space)
    assert channels.shape == (9, 11, 1 if space in "HI" else 3) and channels.dtype == np.float32
    assert 0 <= channels.min() <= channels.max() <= 1 + 1e-6


def test_regions_by_hand():
    labels = np.array([[0, 0, 1], [2, 2, 1]])
    colour = np.array([[[0], [1], [3]], [[3], [3], [3]]], np.uint8)
    regions = describe_regions(labels, colour, colour)
    assert regions.sizes.tolist() == [2, 2, 2]
    assert regions.boxes.tolist() == [[0, 0, 2, 1], [2, 0, 3, 2], [0, 1, 2, 2]]
    assert regions.neighbours.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert regions.colour.shape == (3, 25) and regions.texture.shape == (3, 10)
    assert regions.colour[0, :2].tolist() == [0.5, 0.5] and regions.colour[2, 3] == 1


def test_texture_tells_directions_apart():
    """A step to the right has its largest response in the direction of the step, one opposite."""
    step = np.zeros((9, 16, 1), np.float32)
    step[:, 8:] = 1
    rightwards = quantise_texture(step)[4, 8]
    leftwards = quantise_texture(1 - step)[4, 8]
    assert rightwards[0] == rightwards.max() == 9 and rightwards[4] == 0
    assert np.array_equal(leftwards, np.roll(rightwards, 4))


def reference_similarity(regions: Regions, a: list[int], b: list[int], similarity: str) -> float:
    """Section 3.2 as it is written, on two sets of the first regions."""
    sizes = regions.sizes

    def histogram(values, members):
        return np.average(values[members], axis=0, weights=sizes[members])

    boxes = regions.boxes[a + b]
    box_size = np.prod(boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0))
    measures = {
        "C": lambda: np.minimum(histogram(regions.colour, a), histogram(regions.colour, b)).sum(),
        "T": lambda: np.minimum(histogram(regions.texture, a), histogram(regions.texture, b)).sum(),
        "S": lambda: 1 - sizes[a + b].sum() / sizes.sum(),
        "F": lambda: 1 - (box_size - sizes[a + b].sum()) / sizes.sum(),
    }
    return sum(measures[letter]() for letter in similarity)


def reference_grouping(regions: Regions, similarity: str) -> list[list[float]]:
    """Algorithm 1 of the paper: all pairs compared anew for each join."""
    touching = {frozenset(pair) for pair in regions.neighbours.tolist()}
    alive = [[index] for index in range(len(regions.sizes))]
    boxes = regions.boxes.tolist()
    while len(alive) > 1:
        pairs = [
            (a, b)
            for index, a in enumerate(alive)
            for b in alive[index + 1 :]
            if any(frozenset((i, j)) in touching for i in a for j in b)
        ]
        a, b = max(pairs, key=lambda pair: reference_similarity(regions, *pair, similarity))
        alive = [each for each in alive if each not in (a, b)] + [a + b]
        both = regions.boxes[a + b]
        boxes.append([*both[:, :2].min(axis=0).tolist(), *both[:, 2:].max(axis=0).tolist()])
    return boxes


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_grouping_is_the_papers_algorithm(similarity):
    """On regions of random sizes and colours, so that no two pairs are equally similar."""
    rng = np.random.default_rng(3)
    photo = cv2.resize(rng.integers(0, 256, (5, 6, 3), np.uint8), (60, 50))
    edges_x, edges_y = (np.sort(rng.choice(np.arange(3, n), 4, replace=False)) for n in (60, 50))
    rows, columns = np.mgrid[:50, :60]
    labels = np.searchsorted(edges_y, rows, "right") * 5 + np.searchsorted(
        edges_x, columns, "right"
    )
    channels = convert_colour(photo, "Lab")
    regions = describe_regions(labels, quantise_colour(channels), quantise_texture(channels))
    assert group_regions(regions, similarity).tolist() == reference_grouping(regions, similarity)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_ranking_keeps_every_different_box_once(sizes, seed):
    rng = np.random.default_rng(seed)
    hierarchies = [rng.integers(0, 3, (size, 4)) for size in sizes]
    ranked = rank_boxes(hierarchies, rng)
    expected = {tuple(box) for boxes in hierarchies for box in boxes.tolist()}
    assert len(ranked) == len(expected) and {tuple(box) for box in ranked.tolist()} == expected


def test_the_top_of_a_hierarchy_comes_early():
    """Its rank is at most 1; of the others, half have one above a quarter of the places."""
    boxes = np.stack([np.arange(400)] * 4, axis=1)
    ranked = rank_boxes([boxes], np.random.default_rng(0))[:, 0].tolist()
    assert ranked.index(399) < 20
    assert np.mean(ranked[:100]) > 250
