"""Boxes, masks and visibility of people of whom a part is gone or who were turned."""

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.data import transforms as T
from detectron2.structures import BitMasks
from fvcore.transforms.transform import CropTransform, HFlipTransform, PadTransform
from helpers.annotations import person

from pose_project.data import KeypointMapper, get_dataset_dicts, register_keypoint_dataset
from pose_project.extras.augmentation import AffineTransform
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

H, W = 64, 80
# an L: upright part x 10..20, y 15..49; foot x 10..44, y 39..49
L_SHAPE = [[10.0, 15, 20, 15, 20, 39, 44, 39, 44, 49, 10, 49]]


@pytest.fixture
def photo(write_dataset):
    register_keypoint_dataset("moved", *write_dataset([person()], sizes_hw=((H, W),)))
    (photo,) = get_dataset_dicts("moved")
    return photo


def with_person(photo, **changes) -> dict:
    return photo | {"annotations": [photo["annotations"][0] | changes]}


def rle(polygons) -> dict:
    return mask_util.merge(mask_util.frPyObjects(polygons, H, W))


def mapped(photo, *steps, **changes):
    return KeypointMapper(steps, COCO_PERSON.hflip_indices, **changes)(photo)["instances"]


def turn(degrees: float) -> AffineTransform:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[c, -s], [s, c]])
    centre = np.array([W, H]) / 2
    return AffineTransform(np.column_stack([linear, centre - linear @ centre]), (H, W), (H, W))


CROP = CropTransform(0, 0, 80, 35, W, H)  # the foot of the L is gone


@pytest.mark.parametrize("as_rle", [False, True], ids=["polygons", "rle"])
def test_a_cut_box_is_tight_around_what_the_mask_shows(photo, as_rle):
    mask = rle(L_SHAPE) if as_rle else L_SHAPE
    instances = mapped(with_person(photo, segmentation=mask), CROP)
    assert instances.gt_boxes.tensor.tolist() == [[10, 15, 20, 35]]


def test_a_cut_box_without_a_mask_is_what_is_left_of_the_box(photo):
    assert mapped(photo, CROP).gt_boxes.tensor.tolist() == [[10, 15, 44, 35]]


def test_a_box_that_nothing_cuts_stays_as_annotated(photo):
    loose = with_person(photo, segmentation=[[12.0, 20, 30, 20, 30, 40]])
    crop = CropTransform(5, 5, 60, 50, W, H)
    assert mapped(loose, crop).gt_boxes.tensor.tolist() == [[5, 10, 39, 44]]
    assert mapped(loose, HFlipTransform(W)).gt_boxes.tensor.tolist() == [[36, 15, 70, 49]]


@pytest.mark.parametrize("as_rle", [False, True], ids=["polygons", "rle"])
@pytest.mark.parametrize("degrees", [-35, 20, 45])
def test_a_turned_box_is_tight_around_the_mask(photo, as_rle, degrees):
    bitmap = mask_util.decode(rle(L_SHAPE))
    rows, columns = np.nonzero(turn(degrees).apply_segmentation(bitmap))
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    mask = rle(L_SHAPE) if as_rle else L_SHAPE
    (box,) = mapped(with_person(photo, segmentation=mask), turn(degrees)).gt_boxes.tensor
    np.testing.assert_allclose(box, expected, atol=0 if as_rle else 1)


def test_a_turned_box_without_a_mask_is_that_of_its_ellipse_and_keypoints(photo):
    (plain,) = mapped(photo, turn(45)).gt_boxes.tensor
    bare = with_person(photo, keypoints=[0.0] * 51)
    (box,) = mapped(bare, turn(45)).gt_boxes.tensor
    # of a square of side 34 it is the circle's, of the turned corners it would be 48
    assert (box[2:] - box[:2]).tolist() == pytest.approx([34, 34], abs=0.02)
    points = mapped(photo, turn(45)).gt_keypoints.tensor[0, :, :2]
    assert (points >= plain[:2] - 1e-3).all() and (points <= plain[2:] + 1e-3).all()


def test_quarter_turns_keep_the_annotated_box(photo):
    quarter = AffineTransform([[0, -1, H], [1, 0, 0]], (H, W), (W, H))
    assert mapped(photo, quarter).gt_boxes.tensor.tolist() == [[H - 49, 10, H - 15, 44]]


def test_what_a_crop_cut_off_does_not_come_back_with_padding(photo):
    """Keypoints, boxes and masks end where the photo does."""
    whole = with_person(photo, segmentation=[[10.0, 15, 44, 15, 44, 49, 10, 49]])
    steps = (CropTransform(0, 0, 30, H, W, H), PadTransform(0, 0, 50, 0, 30, H))
    instances = mapped(whole, *steps, use_instance_mask=True)
    assert instances.image_size == (H, W)
    assert instances.gt_boxes.tensor.tolist() == [[10, 15, 30, 49]]
    points = instances.gt_keypoints.tensor[0]
    assert points[:, 0].max() <= 30 and 0 < (points[:, 2] > 0).sum() < 17
    drawn = BitMasks.from_polygon_masks(instances.gt_masks, H, W).tensor[0]
    assert drawn[15:49, 10:30].all() and drawn.sum() == 34 * 20


def test_masks_of_both_kinds_agree_after_turn_crop_and_padding(photo):
    steps = (
        turn(25),
        CropTransform(15, 10, 50, 40, W, H),
        PadTransform(4, 3, 6, 5, 50, 40, 128, 255),
    )
    masks = []
    for mask in (L_SHAPE, rle(L_SHAPE)):
        people = with_person(photo, segmentation=mask)
        instances = mapped(people, *steps, use_instance_mask=True)
        masks.append(instances.gt_masks)
        boxes = instances.gt_boxes.tensor
    polygons = BitMasks.from_polygon_masks(masks[0], *instances.image_size).tensor
    both, either = (polygons & masks[1].tensor).sum(), (polygons | masks[1].tensor).sum()
    assert both / either > 0.85
    assert not masks[1].tensor[:, :, :4].any() and not masks[1].tensor[:, :3].any()
    assert torch.allclose(boxes, masks[1].get_bounding_boxes().tensor)


def test_people_who_are_gone_are_left_out(photo):
    for changes in ({}, {"segmentation": L_SHAPE}, {"segmentation": rle(L_SHAPE)}):
        gone = CropTransform(50, 0, 30, H, W, H)
        assert len(mapped(with_person(photo, **changes), gone)) == 0
    # the box is still half there, but of the mask nothing
    hidden = CropTransform(25, 0, 55, 35, W, H)
    assert len(mapped(with_person(photo, segmentation=L_SHAPE), hidden)) == 0


def test_people_without_a_visible_point_are_a_switch(photo):
    crop = CropTransform(42, 0, 38, H, W, H)  # the last point is at 40
    kept = mapped(photo, crop)
    assert len(kept) == 1 and kept.gt_keypoints.tensor.abs().sum() == 0
    assert len(mapped(photo, crop, drop_without_keypoints=True)) == 0
    assert len(mapped(photo, drop_without_keypoints=True)) == 1


def test_a_mask_of_another_size_names_what_is_wrong(photo):
    wrong = mask_util.encode(np.asfortranarray(np.ones((5, 5), np.uint8)))
    with pytest.raises(InputError, match=r"1\.png: a mask of \[5, 5\] pixels"):
        mapped(with_person(photo, segmentation=wrong), turn(10))
    with pytest.raises(InputError, match=r"1\.png: a mask of \[5, 5\] pixels"):
        mapped(with_person(photo, segmentation=wrong), T.NoOpTransform(), use_instance_mask=True)
