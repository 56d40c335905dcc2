import numpy as np
import pytest
import torch
from detectron2.evaluation.coco_evaluation import _evaluate_box_proposals
from detectron2.structures import Boxes, BoxMode, Instances
from helpers.annotations import person
from pycocotools.coco import COCO

from pose_project.extras.selective_search.recall import proposal_recall


def photo(*boxes, **changes):
    return {
        "annotations": [
            {"bbox": list(box), "bbox_mode": BoxMode.XYXY_ABS, "iscrowd": 0, **changes}
            for box in boxes
        ]
    }


PEOPLE = [photo((0, 0, 10, 10), (20, 0, 30, 10)), photo((0, 0, 10, 10))]


def test_by_hand():
    """Overlaps of the first three proposals with the first person: 0, 0.5, 1."""
    boxes = np.array([[50, 50, 60, 60], [0, 0, 10, 5], [0, 0, 10, 10]])
    found = proposal_recall([boxes, boxes[:1]], PEOPLE, limits=(1, 2, 100))
    assert found == {1: 0, 2: pytest.approx(100 / 3), 100: pytest.approx(100 / 3)}
    strict = proposal_recall([boxes, boxes[:1]], PEOPLE, limits=(2, 3), iou_threshold=0.6)
    assert strict == {2: 0, 3: pytest.approx(100 / 3)}


def test_photos_without_proposals_count():
    boxes = [np.array([[0, 0, 10, 10], [20, 0, 30, 10]]), np.zeros((0, 4))]
    assert proposal_recall(boxes, PEOPLE, (10,)) == {10: pytest.approx(200 / 3)}


def test_one_proposal_may_serve_two_people():
    both = photo((0, 0, 10, 10), (0, 0, 10, 9))
    assert proposal_recall([np.array([[0, 0, 10, 10]])], [both], (1,)) == {1: 100}


def test_nobody_to_find():
    crowd = photo((0, 0, 10, 10), iscrowd=1)
    boxes = [np.array([[0, 0, 10, 10]])] * 3
    assert np.isnan(proposal_recall(boxes, [crowd, photo(), {}], (1,))[1])


def test_a_photo_too_many():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        proposal_recall([np.zeros((0, 4))], PEOPLE)


@pytest.mark.parametrize("limit", [3, 30])
def test_detectron2_finds_the_same_where_people_are_apart(limit):
    """Apart, so that no proposal can serve two people."""
    rng = np.random.default_rng(0)
    truths = [[100 * n, 0, 100 * n + 40, 60] for n in range(4)]
    proposals = [
        np.repeat(np.array(truths, np.float32), 10, axis=0)[rng.permutation(40)]
        + rng.normal(0, 9, (40, 4)).astype(np.float32)
        for _ in range(6)
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": n} for n in range(6)],
        "categories": [{"id": 1}],
        "annotations": [
            person(n, 4 * n + place, bbox=[x1, y1, x2 - x1, y2 - y1], area=2400)
            for n in range(6)
            for place, (x1, y1, x2, y2) in enumerate(truths)
        ],
    }
    coco.createIndex()
    predictions = [
        {
            "image_id": n,
            "proposals": Instances(
                (60, 400),
                proposal_boxes=Boxes(torch.tensor(boxes)),
                objectness_logits=-torch.arange(40.0),
            ),
        }
        for n, boxes in enumerate(proposals)
    ]
    stock = _evaluate_box_proposals(predictions, coco, thresholds=torch.tensor([0.7]), limit=limit)
    ours = proposal_recall(proposals, [photo(*truths)] * 6, (limit,), iou_threshold=0.7)
    assert 5 < ours[limit] < 95
    assert ours[limit] == pytest.approx(100 * stock["recalls"].item(), abs=1e-4)
