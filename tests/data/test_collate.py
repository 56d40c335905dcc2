import copy

import torch
from detectron2.structures import Boxes, Instances, Keypoints, PolygonMasks
from hypothesis import given
from hypothesis import strategies as st

from pose_project.data.collate import pack, unpack


def photo(height: int, width: int, people: int) -> dict:
    instances = Instances((height, width))
    instances.gt_boxes = Boxes(torch.rand(people, 4))
    instances.gt_classes = torch.arange(people)
    instances.gt_keypoints = Keypoints(torch.rand(people, 17, 3))
    instances.gt_masks = PolygonMasks([[[0.0, 1, 2, 3, 4, 5.5]]] * people)
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    return {
        "file_name": "a.jpg",
        "image": image,
        "instances": instances,
        "flag": torch.tensor(True),
    }


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 3)), max_size=4))
def test_a_batch_comes_out_as_it_went_in(sizes):
    batch = [photo(*each) for each in sizes]
    content, block = pack(batch)
    assert block.is_shared() and block.dtype == torch.uint8
    for before, after in zip(batch, unpack((content, block)), strict=True):
        assert before.keys() == after.keys() and after["file_name"] == "a.jpg"
        assert torch.equal(before["image"], after["image"]) and after["flag"].item() is True
        fields = before["instances"].get_fields()
        for name, value in after["instances"].get_fields().items():
            if name == "gt_masks":
                assert [p[0].tolist() for p in value.polygons] == [
                    p[0].tolist() for p in fields[name].polygons
                ]
            else:
                expected = fields[name]
                assert torch.equal(
                    getattr(value, "tensor", value), getattr(expected, "tensor", expected)
                )


def test_strides_are_those_of_a_contiguous_tensor_and_nothing_is_changed():
    image = torch.arange(24).view(4, 6)
    batch = [{"image": image.t()}]
    before = copy.deepcopy(batch)
    (after,) = unpack(pack(batch))
    assert torch.equal(after["image"], image.t()) and after["image"].is_contiguous()
    assert torch.equal(batch[0]["image"], before[0]["image"])


def test_batches_without_a_tensor():
    assert unpack(pack([{"image_id": 3}])) == [{"image_id": 3}]
