import torch
from detectron2.structures import Boxes, Instances

from pose_project.extras.test_time.oks_nms import oks_nms
from pose_project.structures import COCO_PERSON, KeypointSchema, merge_schemas


def people(shifts: list[float], scores: list[float], classes: list[int] | None = None) -> Instances:
    """Return people of 100 x 200 pixels, all alike but for a shift to the right."""
    ramp = torch.linspace(5, 95, 17)
    pose = torch.stack([ramp, 2 * ramp, torch.ones(17)], dim=1)
    instances = Instances((400, 400))
    offset = torch.tensor(shifts).reshape(-1, 1)
    instances.pred_boxes = Boxes(
        torch.tensor([0.0, 0, 100, 200]) + offset * torch.tensor([1.0, 0, 1, 0])
    )
    instances.scores = torch.tensor(scores)
    instances.pred_classes = torch.tensor(classes or [0] * len(shifts))
    instances.pred_keypoints = pose + offset[..., None] * torch.tensor([1.0, 0, 0])
    return instances


def test_of_two_alike_the_better_is_kept():
    found = oks_nms(people([0, 1, 150], [0.5, 0.9, 0.7]), COCO_PERSON, 0.9)
    assert found.tolist() == [1, 2]


def test_the_threshold_decides():
    shifted = people([0, 8], [0.9, 0.8])
    kept = [len(oks_nms(shifted, COCO_PERSON, limit)) for limit in (0.1, 0.5, 0.95)]
    assert kept[0] == 1 and kept[-1] == 2
    assert kept == sorted(kept)


def test_who_was_left_out_suppresses_nobody():
    """The second is too close to the first, the third only to the second."""
    chain = people([0, 6, 12], [0.9, 0.8, 0.7])
    assert len(oks_nms(people([0, 6], [0.9, 0.8]), COCO_PERSON, 0.7)) == 1
    assert len(oks_nms(people([0, 12], [0.9, 0.8]), COCO_PERSON, 0.7)) == 2
    assert oks_nms(chain, COCO_PERSON, 0.7).tolist() == [0, 2]


def test_classes_do_not_suppress_each_other_and_have_keypoints_of_their_own():
    first = KeypointSchema(COCO_PERSON.names[:9])
    second = KeypointSchema(COCO_PERSON.names[9:])
    schema = merge_schemas([("a", first), ("b", second)])
    both = people([0, 0, 0], [0.9, 0.8, 0.7], [0, 1, 1])
    both.pred_keypoints[2, :9] += 100  # not keypoints of its class
    assert oks_nms(both, schema, 0.5).tolist() == [0, 1]


def test_nobody():
    assert oks_nms(people([0], [0.5])[:0], COCO_PERSON, 0.5).tolist() == []
