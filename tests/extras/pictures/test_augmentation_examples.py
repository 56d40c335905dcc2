import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from helpers.annotations import person

from pose_project.data import KeypointMapper, get_dataset_dicts, register_keypoint_dataset
from pose_project.extras.augmentation import Grey, InRGB, RandomAffine
from pose_project.extras.pictures.augmentation_examples import apply_each, describe
from pose_project.structures import COCO_PERSON


def test_each_augmentation_alone_and_all(write_dataset):
    register_keypoint_dataset("shown", *write_dataset([person()]))
    (photo,) = get_dataset_dicts("shown")
    augmentations = [
        T.RandomFlip(0.2),
        T.RandomApply(RandomAffine((10, 10)), 0.2),
        T.Resize((32, 40)),
    ]
    mapper = KeypointMapper(augmentations, COCO_PERSON.hflip_indices)
    state = np.random.get_state()[1].copy()
    shown = dict(apply_each(mapper, photo))
    assert (np.random.get_state()[1] == state).all() and len(mapper.augmentations.augs) == 3
    assert list(shown) == [
        *("the photo", "RandomFlip", "RandomAffine", "Resize", "all, draw 1", "all, draw 2")
    ]
    plain = shown["the photo"]["image"]
    assert torch.equal(shown["RandomFlip"]["image"], plain.flip(2))
    assert not torch.equal(shown["RandomAffine"]["image"], plain)
    assert shown["all, draw 1"]["image"].shape == (3, 32, 40)


@pytest.mark.parametrize(
    ("augmentation", "name"),
    [
        (T.RandomApply(Grey("BGR")), "Grey"),
        (InRGB([T.RandomLighting(1.0)], "BGR"), "RandomLighting"),
        (T.AugmentationList([T.RandomFlip(), T.NoOpTransform()]), "RandomFlip + NoOpTransform"),
        (T.HFlipTransform(3), "HFlipTransform"),
    ],
)
def test_names(augmentation, name):
    assert describe(T.AugmentationList([augmentation]).augs[0]) == name
