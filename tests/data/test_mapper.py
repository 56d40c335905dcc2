import copy

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from detectron2.data.detection_utils import transform_keypoint_annotations
from detectron2.structures import BitMasks, BoxMode, PolygonMasks
from fvcore.transforms.transform import HFlipTransform, NoOpTransform, VFlipTransform
from helpers.annotations import person
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_project.data import KeypointMapper, get_dataset_dicts, register_keypoint_dataset
from pose_project.data.annotation_transforms import is_mirror, linear_part, move_keypoints
from pose_project.structures import COCO_PERSON
from pose_project.utils.errors import InputError

SIZE_HW = (64, 80)
SWAP = np.asarray(COCO_PERSON.hflip_indices)


@pytest.fixture
def photo(write_dataset):
    register_keypoint_dataset("mapped", *write_dataset([person()], sizes_hw=(SIZE_HW,)))
    (photo,) = get_dataset_dicts("mapped")
    return photo


def mapper(*augmentations, **changes) -> KeypointMapper:
    return KeypointMapper(augmentations, COCO_PERSON.hflip_indices, **changes)


def test_points_boxes_and_pixels_without_augmentation(photo):
    before = copy.deepcopy(photo)
    output = mapper()(photo)
    assert photo == before
    assert output["image"].shape == (3, *SIZE_HW)
    assert output["instances"].gt_boxes.tensor.tolist() == [[10, 15, 44, 49]]
    assert output["instances"].gt_keypoints.tensor[0, 0].tolist() == [12.5, 17.5, 2]


def test_horizontal_flip_by_hand(photo):
    keypoints = mapper(HFlipTransform(80))(photo)["instances"].gt_keypoints.tensor[0]
    assert keypoints[0].tolist() == [80 - 12.5, 17.5, 2]  # the nose stays the nose
    left_eye, right_eye = photo["annotations"][0]["keypoints"][3:5], keypoints[2]
    assert right_eye[:2].tolist() == pytest.approx([80 - left_eye[0], left_eye[1]])


@pytest.mark.parametrize(
    ("transform", "mirrored"),
    [
        (HFlipTransform(80), True),
        (VFlipTransform(64), True),
        (T.TransformList([HFlipTransform(80), VFlipTransform(64)]), False),
        (T.RotationTransform(64, 80, 180), False),
        (T.TransformList([T.RotationTransform(64, 80, 37), HFlipTransform(100)]), True),
        (NoOpTransform(), False),
    ],
    ids=["horizontal", "vertical", "both", "half turn", "turned and flipped", "nothing"],
)
def test_every_mirror_swaps_sides_and_a_rotation_never_does(transform, mirrored):
    assert is_mirror(linear_part(transform, SIZE_HW)) is mirrored


def test_stock_code_forgets_that_a_vertical_flip_is_a_mirror(photo):
    """The fault this mapper mends: after it, the left eye would be on the wrong side."""
    flip = T.TransformList([VFlipTransform(64)])
    given_points = photo["annotations"][0]["keypoints"]
    stock = transform_keypoint_annotations(list(given_points), flip, SIZE_HW, SWAP)
    ours = mapper(flip)(photo)["instances"].gt_keypoints.tensor[0].numpy()
    np.testing.assert_allclose(ours, stock[SWAP], rtol=1e-6)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from("hv"), max_size=4))
def test_flips_compose_and_invert(seed, flips):
    points = np.random.default_rng(seed).uniform(0, 64, (17, 3))
    points[:, 2] = 2
    transform = T.TransformList(
        [HFlipTransform(80) if each == "h" else VFlipTransform(64) for each in flips]
    )
    swap = SWAP if is_mirror(linear_part(transform, SIZE_HW)) else None
    there = move_keypoints(points[None], transform, SIZE_HW, None, swap)
    inverse = transform.inverse()
    assert is_mirror(linear_part(inverse, SIZE_HW)) == (swap is not None)
    (back,) = move_keypoints(there, inverse, SIZE_HW, None, swap)
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_what_leaves_the_photo_is_unlabelled():
    points = np.array([[[5.0, 5.0, 2], [70.0, 5.0, 1], [3.0, 3.0, 0]]])
    moved = move_keypoints(points, T.CropTransform(4, 0, 20, 20), (20, 20), None, None)
    assert moved.tolist() == [[[1, 5, 2], [0, 0, 0], [0, 0, 0]]]


def test_each_annotation_decides_for_itself(photo):
    bare = {k: v for k, v in photo["annotations"][0].items() if k != "keypoints"}
    photo["annotations"].insert(0, bare)
    keypoints = mapper()(photo)["instances"].gt_keypoints.tensor
    assert keypoints.shape == (2, 17, 3)
    assert keypoints[0].abs().sum() == 0
    assert (keypoints[1, :, 2] == 2).all()


def test_crowds_are_left_out_and_an_empty_photo_keeps_its_fields(photo):
    photo["annotations"][0]["iscrowd"] = 1
    instances = mapper()(photo)["instances"]
    assert instances.gt_keypoints.tensor.shape == (0, 17, 3)
    assert len(instances.gt_boxes) == len(instances.gt_classes) == 0


def test_wrong_number_of_points_names_the_photo(photo):
    photo["annotations"][0]["keypoints"] = [1.0] * 9
    with pytest.raises(InputError, match=r"1\.png.*9 keypoint values.*17 keypoints"):
        mapper()(photo)


def test_evaluation_returns_the_photo_alone(photo):
    output = mapper(is_train=False)(photo)
    assert "instances" not in output and "annotations" not in output
    assert output["image_id"] == 1


def test_channel_order(photo):
    bgr, rgb = mapper()(photo)["image"], mapper(image_format="RGB")(photo)["image"]
    assert (bgr.flip(0) == rgb).all()


PROPOSALS = np.array([[10, 15, 44, 49], [70, 2, 90, 30], [0, 0, 80, 64], [90, 90, 99, 99]])


def with_proposals(photo, boxes=PROPOSALS):
    """As ``get_dataset_dicts`` returns it."""
    return photo | {
        "proposal_boxes": boxes.astype(np.float32),
        "proposal_objectness_logits": -np.arange(len(boxes), dtype=np.float32),
        "proposal_bbox_mode": BoxMode.XYXY_ABS,
    }


@pytest.mark.parametrize("is_train", [True, False])
def test_proposals_move_with_the_photo_and_are_clipped(photo, is_train):
    photo = with_proposals(photo)
    before = copy.deepcopy(photo)
    output = mapper(HFlipTransform(SIZE_HW[1]), is_train=is_train, proposal_topk=10)(photo)
    proposals = output["proposals"]
    # mirrored; clipped to the photo; the last was outside and is gone
    expected = [[36, 15, 70, 49], [0, 2, 10, 30], [0, 0, 80, 64]]
    assert proposals.proposal_boxes.tensor.tolist() == expected
    assert proposals.objectness_logits.tolist() == [0, -1, -2]
    assert proposals.image_size == SIZE_HW
    assert ("instances" in output) == is_train
    assert not [key for key in output if key.startswith("proposal_")]
    np.testing.assert_equal(photo, before)


def test_proposals_are_those_of_the_stock_mapper(photo):
    stock = DatasetMapper(
        is_train=False,
        augmentations=[T.Resize((96, 100))],
        image_format="BGR",
        precomputed_proposal_topk=2,
    )
    expected = stock(with_proposals(photo))["proposals"]
    actual = mapper(T.Resize((96, 100)), is_train=False, proposal_topk=2)(with_proposals(photo))
    assert len(expected) == 2 and expected.image_size == actual["proposals"].image_size
    assert torch.equal(actual["proposals"].proposal_boxes.tensor, expected.proposal_boxes.tensor)
    assert torch.equal(actual["proposals"].objectness_logits, expected.objectness_logits)


def test_a_photo_for_which_none_were_found(photo):
    output = mapper(proposal_topk=5)(with_proposals(photo, np.zeros((0, 4))))
    assert output["proposals"].proposal_boxes.tensor.shape == (0, 4)


def test_proposals_that_nobody_asked_for_are_left_out(photo):
    assert mapper()(with_proposals(photo)).keys() == mapper()(photo).keys()


def test_proposals_that_are_not_there(photo):
    with pytest.raises(InputError, match=r"1.png: .* no proposals; set proposal_files"):
        mapper(proposal_topk=5)(photo)
    with pytest.raises(InputError, match="at least 1, got 0"):
        mapper(proposal_topk=0)


POLYGON = [[10.0, 10, 40, 10, 40, 50, 10, 50]]


def with_mask(photo, segmentation) -> dict:
    changed = {**photo["annotations"][0], "segmentation": segmentation}
    return {**photo, "annotations": [changed]}


def test_masks_as_polygons_and_as_rle_are_the_same(photo):
    """Mirrored; a photo with both kinds is turned into bitmasks."""
    rle = mask_util.merge(mask_util.frPyObjects(POLYGON, 64, 80))
    flip = HFlipTransform(80)
    masks = []
    for segmentation in (POLYGON, rle):
        people = with_mask(photo, segmentation)
        instances = mapper(flip, use_instance_mask=True)(people)["instances"]
        masks.append(instances.gt_masks)
    polygons, bitmasks = masks
    assert isinstance(polygons, PolygonMasks)
    assert isinstance(bitmasks, BitMasks)
    drawn = BitMasks.from_polygon_masks(polygons, 64, 80).tensor
    assert drawn[0, 10:50, 40:70].all()
    assert (drawn ^ bitmasks.tensor).sum() == 0


def test_who_has_no_mask_is_left_out_where_masks_are_learnt(photo):
    """The loader says how many these are."""
    square = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0]]
    first = photo["annotations"][0]
    photo["annotations"] = [first, {**first, "segmentation": square}]
    assert len(mapper()(photo)["instances"]) == 2
    found = mapper(use_instance_mask=True)(photo)["instances"]
    assert len(found) == len(found.gt_masks) == 1
