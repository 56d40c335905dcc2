"""The same bytes as Pillow's."""

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pose_project.extras.export.pillow_resize import pillow_resize
from pose_project.extras.export.resize_rule import ResizeRule
from pose_project.extras.other_models.torchvision_resize import BilinearResize
from pose_project.utils.errors import InputError


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "before_hw, after_hw",
    [
        ((480, 640), (192, 256)),
        ((426, 640), (192, 288)),
        ((640, 427), (288, 192)),
        ((500, 375), (800, 600)),
        ((333, 500), (333, 500)),
        ((100, 700), (27, 192)),
        ((700, 100), (192, 27)),
        ((400, 200), (192, 96)),
        ((2340, 1080), (320, 148)),
        ((90, 30), (300, 100)),
        ((16, 16), (192, 192)),
        ((1, 1), (5, 7)),
        ((700, 1200), (70, 33)),
    ],
)
def test_every_value_is_pillows(before_hw, after_hw):
    photo = noise(*before_hw)
    expected = np.asarray(Image.fromarray(photo).resize(after_hw[::-1], Image.BILINEAR))
    found = pillow_resize(torch.from_numpy(photo), torch.tensor(after_hw))
    np.testing.assert_array_equal(found.numpy(), expected)


@settings(max_examples=200)
@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.integers(1, 1000),
    st.integers(0, 1000),
)
def test_sizes_are_detectron2s(photo_hw, short_edge, more):
    resize = T.ResizeShortestEdge(short_edge, short_edge + more)
    transform = resize.get_transform(np.empty((*photo_hw, 3), np.uint8))
    found = ResizeRule.of([resize]).size_of(torch.tensor(photo_hw)).tolist()
    assert found == [max(transform.new_h, 1), max(transform.new_w, 1)]


@settings(max_examples=200)
@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.integers(1, 1000),
    st.integers(0, 1000),
)
def test_sizes_are_torchvisions(photo_hw, short_edge, more):
    resize = BilinearResize(short_edge, short_edge + more)
    transform = resize.get_transform(np.empty((*photo_hw, 3), np.uint8))
    found = ResizeRule.of([resize]).size_of(torch.tensor(photo_hw)).tolist()
    assert found == [transform.new_h, transform.new_w]


@pytest.mark.parametrize(
    "augmentations, message",
    [
        ([], "this config has: none"),
        ([T.RandomFlip()], "this config has: RandomFlip"),
        ([T.ResizeShortestEdge(800, 1333), T.RandomFlip()], "ResizeShortestEdge, RandomFlip"),
        ([T.ResizeShortestEdge(800, 1333, interp=Image.BICUBIC)], "only a model whose"),
        ([T.ResizeShortestEdge((640, 800), 1333, "choice")], "one of .640, 800."),
    ],
)
def test_other_preprocessing_is_refused(augmentations, message):
    with pytest.raises(InputError, match=message):
        ResizeRule.of(augmentations)
