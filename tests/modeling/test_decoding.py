"""Decoding against enlarging everything, on maps and boxes of every kind."""

import pytest
import torch
import torch.nn.functional as F
from detectron2.structures import heatmaps_to_keypoints
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.extras.cpu_inference import peak_search
from pose_project.extras.cpu_inference.bicubic_bounds import cell_bounds, control_points
from pose_project.modeling import decode_heatmaps, decoding
from pose_project.utils import extras

NUM_KEYPOINTS = 3


def noise(count: int, side: int) -> torch.Tensor:
    return torch.randn(count, NUM_KEYPOINTS, side, side)


def peaks(count: int, side: int) -> torch.Tensor:
    """Like a trained network's: one smooth peak, and little noise."""
    x, y = torch.rand(2, count, NUM_KEYPOINTS, 1, 1) * side
    cells = torch.arange(side)
    squared = (cells - x) ** 2 + (cells[:, None] - y) ** 2
    return 12 * (-squared / 12).exp() - 4 + 0.3 * noise(count, side)


def smooth(count: int, side: int) -> torch.Tensor:
    return F.avg_pool2d(noise(count, side) * 10, 5, 1, 2)


def twins(count: int, side: int) -> torch.Tensor:
    """Two equal peaks in each map."""
    half = peaks(count, side)[..., : max(1, side // 2)]
    return torch.cat([half, half, half[..., :1]], dim=3)[..., :side]


def plateaus(count: int, side: int) -> torch.Tensor:
    return smooth(count, side).round()


def checkerboard(count: int, side: int) -> torch.Tensor:
    """No cell can be ruled out."""
    cells = torch.arange(side)
    return (((cells + cells[:, None]) % 2) * 2.0 - 1).expand(count, NUM_KEYPOINTS, -1, -1)


def constant(count: int, side: int) -> torch.Tensor:
    return torch.full((count, NUM_KEYPOINTS, side, side), 0.1)


def at_the_edge(count: int, side: int) -> torch.Tensor:
    logits = 0.1 * noise(count, side)
    logits[:, 0, 0] += 5
    logits[:, 1, :, -1] += 5
    logits[:, 2, -1, 0] += 5
    return logits


KINDS = [noise, peaks, smooth, twins, plateaus, checkerboard, constant, at_the_edge]


def boxes_of(sizes_wh: list[tuple[float, float]]) -> torch.Tensor:
    corner = torch.rand(len(sizes_wh), 2) * 100
    return torch.cat([corner, corner + torch.tensor(sizes_wh)], dim=1)


def check(logits: torch.Tensor, boxes: torch.Tensor) -> None:
    """Check pixel by pixel that nothing is higher than what was found, and agree with stock."""
    decoded = decode_heatmaps(logits, boxes)
    assert decoded.dtype == torch.float32
    logits = logits.float()
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    pixels = (decoded[..., :2] - boxes[:, None, :2]) * (size.ceil() / size)[:, None] - 0.5
    tolerance = 1e-5 * float(logits.abs().max()) + 1e-6
    for i, (width, height) in enumerate(size.ceil().long().tolist()):
        torch.testing.assert_close(pixels[i], pixels[i].round(), rtol=0, atol=1e-2)
        x, y = pixels[i].round().long().unbind(dim=1)
        enlarged = F.interpolate(logits[[i]].double(), (height, width), mode="bicubic")[0]
        found = enlarged[torch.arange(len(x)), y, x]
        assert (found >= enlarged.amax((1, 2)) - tolerance).all()
        torch.testing.assert_close(decoded[i, :, 2].double(), found, rtol=1e-5, atol=tolerance)
    stock = heatmaps_to_keypoints(logits, boxes)
    torch.testing.assert_close(decoded[..., 3], stock[..., 3], rtol=1e-4, atol=0)


# tiny, as large as the map, a little larger, elongated, usual, huge
SIDES = st.one_of(
    st.floats(0.0, 5.0),
    st.sampled_from([27.0, 28.0, 29.0, 55.5, 56.0, 57.0, 112.0, 168.0]),
    st.floats(20.0, 120.0),
    st.floats(100.0, 420.0),
)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    sizes_wh=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5),
    side=st.sampled_from([1, 2, 7, 28, 56]),
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    how=st.sampled_from(["as usual", "searched", "without the extra"]),
)
def test_the_highest_pixel_is_found(kind, sizes_wh, side, seed, dtype, how):
    torch.manual_seed(seed)
    with pytest.MonkeyPatch.context() as patch:
        if how != "as usual":  # then few people are enlarged as a whole
            patch.setattr(decoding, "_FEW_PIXELS", 0)
            patch.setattr(peak_search, "_SMALL_AREA", 0)
        if how == "without the extra":
            patch.setattr(extras, "EXTRAS", "pose_project.nothing")
        check(kind(len(sizes_wh), side).to(dtype), boxes_of(sizes_wh))


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_any_size_give_the_same(kind, monkeypatch):
    torch.manual_seed(0)
    logits, boxes = kind(9, 28), boxes_of([(20.0 * i + 5, 90.0) for i in range(9)])
    expected = decode_heatmaps(logits, boxes)
    monkeypatch.setattr(decoding, "_FEW_PIXELS", 0)
    for maps, pixels in ((1, 1), (6, 10_000), (1000, 10**7)):
        monkeypatch.setattr(peak_search, "_MAPS_PER_CHUNK", maps)
        for module in (decoding, peak_search):
            monkeypatch.setattr(module, "PIXELS_PER_STEP", pixels)
        decoded = decode_heatmaps(logits, boxes)
        torch.testing.assert_close(decoded[..., 2:], expected[..., 2:])
        check(logits, boxes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_once", [1, 40_000, 10**7])
def test_large_steps_find_the_same(kind, at_once, monkeypatch):
    """What a GPU does; any device can."""
    torch.manual_seed(0)
    logits = kind(9, 28)
    sizes_wh = torch.tensor([(20 * i + 5, 1 + (i * 37) % 90) for i in range(9)])
    monkeypatch.setattr(decoding, "PIXELS_PER_LARGE_STEP", at_once)
    found = decoding.peaks_in_large_steps(logits, sizes_wh, sizes_wh)
    for person, (width, height) in enumerate(sizes_wh.tolist()):
        maps = logits[person : person + 1]
        enlarged = F.interpolate(maps, (height, width), mode="bicubic")[0].flatten(1)
        x, y = found.pixels[person].unbind(dim=1)
        there = enlarged.gather(1, (y * width + x)[:, None])[:, 0]
        torch.testing.assert_close(found.values[person], enlarged.amax(dim=1))
        torch.testing.assert_close(there, enlarged.amax(dim=1))


def test_bounds_hold_at_every_pixel_and_are_reached():
    """No pixel exceeds the bounds of the four cells around it, nor their control points."""
    torch.manual_seed(0)
    side, scale = 12, 9
    maps = torch.randn(20, side, side)
    enlarged = F.interpolate(maps[:, None], scale_factor=scale, mode="bicubic")[:, 0]
    position = (torch.arange(side * scale) + 0.5) / scale - 0.5
    nearest = position.round().long().clamp(0, side - 1)
    other = (2 * position.floor() + 1 - position.round()).long().clamp(0, side - 1)
    bounds = cell_bounds(maps)
    around = [bounds[:, y][:, :, x] for y in (nearest, other) for x in (nearest, other)]
    assert (torch.stack(around).amax(dim=0) >= enlarged - 1e-5).all()
    windows = F.unfold(F.pad(maps[:, None], (1, 1, 1, 1), mode="replicate"), 3)
    points = control_points(windows.transpose(1, 2).reshape(-1, 3, 3)).amax((1, 2))
    assert (points.view_as(bounds) <= bounds + 1e-5).all()
    assert (points.view_as(bounds) >= bounds - 1e-5).float().mean() > 0.2


def test_few_patches_remain_where_a_network_is_sure():
    torch.manual_seed(0)
    maps = peaks(40, 56).flatten(0, 1)
    sizes_wh = torch.full((len(maps), 2), 300)
    found, cells = peak_search.peaks_by_search(maps, sizes_wh, [300, 300])
    assert len(cells.map_of) < 12 * len(maps)
    improved = peak_search.improve_peaks(maps, sizes_wh, [300, 300], found, cells)
    assert (improved.values == found.values).float().mean() > 0.8


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("count", [1, 30], ids=["enlarged", "searched"])
def test_logits_that_are_not_finite_give_a_point_in_the_box(value, count):
    torch.manual_seed(0)
    logits, boxes = noise(count, 28), boxes_of([(150.0, 200.0)] * count)
    exact = decode_heatmaps(logits, boxes)
    logits[0, 0, 3, 3] = value
    logits[0, 1] = value
    decoded = decode_heatmaps(logits, boxes)
    inside = (decoded[..., :2] > boxes[:, None, :2]) & (decoded[..., :2] < boxes[:, None, 2:])
    assert inside.all()
    torch.testing.assert_close(decoded[1:], exact[1:])
    torch.testing.assert_close(decoded[0, 2], exact[0, 2])


@pytest.fixture
def low_precision():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("count", [1, 30], ids=["enlarged", "searched"])
def test_low_precision_that_others_allow_for_matrix_products_is_not_used(low_precision, count):
    torch.manual_seed(0)
    check(noise(count, 56), boxes_of([(150.0, 200.0)] * count))


def test_a_box_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        decode_heatmaps(noise(1, 28), torch.tensor([[0.0, 0.0, torch.nan, 5.0]]))


@pytest.mark.parametrize("shape", [(0, 17, 56, 56), (3, 0, 56, 56), (0, 0, 28, 28)])
def test_nothing_to_decode(shape):
    assert decode_heatmaps(torch.zeros(shape), torch.zeros(shape[0], 4)).shape == (*shape[:2], 4)


def test_inputs_are_not_changed():
    logits, boxes = noise(20, 56), boxes_of([(300.0, 200.0)] * 20)
    before = logits.clone(), boxes.clone()
    decode_heatmaps(logits, boxes)
    assert torch.equal(logits, before[0]) and torch.equal(boxes, before[1])


def test_steps_do_not_grow_with_people(monkeypatch):
    """Nothing is done person by person, so that a GPU is kept busy and the host does not wait."""
    monkeypatch.setattr(peak_search, "_MAPS_PER_CHUNK", 10**6)
    steps = []
    for count in (10, 40):
        logits, boxes = peaks(count, 56), boxes_of([(200.0, 300.0)] * count)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            decode_heatmaps(logits, boxes)
        steps.append(sum(event.name.startswith("aten::") for event in profile.events()))
    assert steps[1] < 1.1 * steps[0]
