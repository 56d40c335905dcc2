import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torchvision.models.detection.transform import (
    GeneralizedRCNNTransform,
    _resize_image_and_masks,
    resize_keypoints,
)

from pose_project.extras.other_models.torchvision_resize import BilinearResize


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from([256, 640, 672, 800]))
def test_same_sizes(height, width, length):
    assume(max(height, width) < 200 * min(height, width))  # torchvision fails without a pixel
    transform = BilinearResize(length, 1333).get_transform(np.empty((height, width, 0)))
    image = torch.empty(1, height, width, device="meta")
    resized, _ = _resize_image_and_masks(image, length, 1333)
    assert (transform.new_h, transform.new_w) == resized.shape[-2:]


@pytest.mark.parametrize("size_hw", [(64, 97), (200, 120), (90, 90)])
def test_same_pixels_and_points(size_hw):
    image = photo(*size_hw)
    theirs = GeneralizedRCNNTransform(96, 160, [0.0] * 3, [1.0] * 3).eval()
    tensor = torch.from_numpy(image).permute(2, 0, 1) / 255
    points = torch.tensor([[[1.5, 2.0, 2.0], [60.0, 44.25, 1.0]]])
    target = {"boxes": torch.tensor([[0.0, 0.0, 5.0, 6.0]]), "keypoints": points}
    resized, target = theirs.resize(tensor, target)
    transform = BilinearResize(96, 160).get_transform(image)
    actual = transform.apply_image(image)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual.transpose(2, 0, 1) / 255, resized.numpy(), atol=1e-6)
    moved = transform.apply_coords(points[0, :, :2].double().numpy())
    np.testing.assert_allclose(moved, target["keypoints"][0, :, :2].numpy(), rtol=1e-6)
    expected = resize_keypoints(points, list(size_hw), list(resized.shape[-2:]))
    assert torch.equal(target["keypoints"], expected)


def test_the_image_is_not_changed_and_masks_stay_whole_numbers():
    image = photo(20, 30)
    before = image.copy()
    transform = BilinearResize(40, 100).get_transform(image)
    transform.apply_image(image)
    assert np.array_equal(image, before)
    mask = transform.apply_segmentation(image[..., 0] % 3)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1, 2}


def test_one_of_several_lengths():
    augmentation = BilinearResize((10, 20), 100)
    heights = {augmentation.get_transform(np.empty((5, 5, 3))).new_h for _ in range(50)}
    assert heights == {10, 20}


def test_a_line_of_pixels_stays_one():
    transform = BilinearResize(800, 1333).get_transform(np.empty((1, 4000, 3)))
    assert (transform.new_h, transform.new_w) == (1, 1333)
