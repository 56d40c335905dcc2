import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.modeling import decode_heatmaps, encode_keypoints

BOX = torch.tensor([[10.0, 20.0, 38.0, 76.0]])  # one cell is 1 x 2 pixels at S = 28


def encode(x: float, y: float, v: float = 2.0, box: torch.Tensor = BOX) -> tuple[int, bool]:
    targets, valid = encode_keypoints(torch.tensor([[[x, y, v]]]), box, 28)
    return targets.item(), valid.item()


def test_corners_and_centre_by_hand():
    assert encode(10, 20) == (0, True)
    assert encode(38, 20) == (27, True)  # the right edge belongs to the last cell
    assert encode(10, 76) == (27 * 28, True)
    assert encode(38, 76) == (28 * 28 - 1, True)
    assert encode(24.5, 49) == (14 * 28 + 14, True)


def test_outside_unlabelled_and_flat_boxes_are_not_valid():
    assert encode(9.99, 30) == (0, False)
    assert encode(20, 76.01) == (0, False)
    assert encode(20, 30, v=0) == (0, False)
    assert encode(20, 30, v=1)[1]
    assert encode(10, 20, box=torch.tensor([[10.0, 20.0, 10.0, 76.0]])) == (0, False)


def test_huge_and_nan_coordinates_are_not_valid():
    assert encode(1e30, 30) == (0, False)
    assert encode(float("nan"), 30) == (0, False)


def test_no_instance():
    targets, valid = encode_keypoints(torch.zeros(0, 17, 3), torch.zeros(0, 4), 56)
    assert targets.shape == valid.shape == (0, 17)


INNER = st.floats(0.05, 0.95)  # not in a cell at the rim, where bicubic overshoots towards the edge


@settings(max_examples=25)
@given(INNER, INNER, st.floats(1, 9), st.floats(1, 9), st.sampled_from([28, 56]))
def test_decoding_returns_to_the_encoded_cell(u, v, cell_width, cell_height, size):
    """Boxes of at least a pixel a cell: the error is at most half a cell and half a pixel."""
    cell = torch.tensor([cell_width, cell_height])
    corner = torch.tensor([3.0, 5.0])
    box = torch.cat([corner, corner + cell * size])[None]
    xy = torch.minimum(corner + torch.tensor([u, v]) * cell * size, box[0, 2:])
    target, valid = encode_keypoints(torch.tensor([[[*xy.tolist(), 2.0]]]), box, size)
    assert valid.all()
    logits = torch.zeros(1, 1, size * size)
    logits[0, 0, target.item()] = 10.0
    decoded = decode_heatmaps(logits.view(1, 1, size, size), box)[0, 0, :2]
    assert ((decoded - xy).abs() <= cell / 2 + 0.51).all()
