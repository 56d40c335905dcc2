import pickle

import numpy as np
import pytest
from detectron2.data import load_proposals_into_dataset
from detectron2.structures import BoxMode

from pose_project.extras.selective_search.proposal_files import add_proposals, write_proposal_file
from pose_project.utils.errors import InputError

PHOTOS = [{"image_id": 7, "file_name": "7.jpg"}, {"image_id": "b", "file_name": "b.jpg"}]
BOXES = [np.array([[0, 0, 8, 8], [5, 5, 60, 90.5]]), np.zeros((0, 4))]


def valid(**changes) -> dict:
    logits = [np.array([-1.5, 2.0]), np.zeros(0)]
    content = {"ids": [7, "b"], "boxes": BOXES, "objectness_logits": logits}
    return {key: value for key, value in (content | changes).items() if value is not None}


@pytest.fixture
def add(tmp_path):
    """Write a pickle and add its proposals to ``PHOTOS``."""

    def run(content: object, protocol: int = 4) -> list[dict]:
        file = tmp_path / "proposals.pkl"
        file.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
        return add_proposals(PHOTOS, file, "people_val")

    return run


def test_what_is_written_is_read_by_us_and_by_detectron2_alike(tmp_path):
    file = tmp_path / "new" / "proposals.pkl"
    write_proposal_file(file, [7, "b"], BOXES)
    ours = add_proposals(PHOTOS, file, "people_val")
    theirs = load_proposals_into_dataset([dict(photo) for photo in PHOTOS], str(file))
    for photo, stock, boxes in zip(ours, theirs, BOXES, strict=True):
        np.testing.assert_array_equal(photo["proposal_boxes"], boxes)
        assert photo["proposal_boxes"].dtype == np.float32
        assert photo.keys() == stock.keys()
        for key in photo:
            np.testing.assert_array_equal(photo[key], stock[key])
    assert all("proposal_boxes" not in photo for photo in PHOTOS)


@pytest.mark.parametrize("protocol", range(6))
def test_the_best_come_first(add, protocol):
    first, second = add(valid(), protocol)
    assert first["proposal_boxes"].tolist() == [[5, 5, 60, 90.5], [0, 0, 8, 8]]
    assert first["proposal_objectness_logits"].tolist() == [2.0, -1.5]
    assert second["proposal_boxes"].shape == (0, 4)


def test_names_of_detectron(add):
    content = valid()
    old = {
        "indexes": content["ids"],
        "boxes": BOXES,
        "scores": content["objectness_logits"],
    }
    assert add(old)[0]["proposal_boxes"].tolist() == [[5, 5, 60, 90.5], [0, 0, 8, 8]]


@pytest.mark.parametrize("mode", [BoxMode.XYWH_ABS, 1])
def test_other_box_modes(add, mode):
    photo = add(valid(bbox_mode=mode))[0]
    assert photo["proposal_boxes"].tolist() == [[5, 5, 65, 95.5], [0, 0, 8, 8]]
    assert photo["proposal_bbox_mode"] == BoxMode.XYXY_ABS


def test_a_photo_without_proposals_in_the_file(add):
    with pytest.raises(InputError, match="of another dataset: .* for 1 of the 2 photos .* id 'b'"):
        add(valid(ids=[7, 5]))


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"no proposals at .*precompute_proposals.py --dataset x "):
        add_proposals(PHOTOS, tmp_path / "nothing.pkl", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, not a dict"),
        (valid(ids=None), "has no list 'ids'"),
        (valid(boxes=None), "has no list 'boxes'"),
        (valid(objectness_logits=None), "has no list 'objectness_logits'"),
        (valid(boxes=BOXES[:1]), r"differ in length \(2 ids, 1 boxes, 2 objectness_logits\)"),
        (valid(bbox_mode=77), "77 is not a valid BoxMode"),
        (valid(bbox_mode=BoxMode.XYXY_REL), "XYXY_REL cannot be used"),
        (valid(boxes=[BOXES[0][:, :3], BOXES[1]]), r"id 7: boxes are an array \(2, 3\)"),
        (valid(boxes=[BOXES[0].tolist(), BOXES[1]]), "id 7: boxes are a list"),
        (valid(boxes=[BOXES[0].astype(object), BOXES[1]]), "of object"),
        (valid(boxes=[BOXES[0] * np.nan, BOXES[1]]), "id 7: a box or logit is not finite"),
        (valid(boxes=[BOXES[0] * 1e300, BOXES[1]]), "beyond any photo"),
        (valid(boxes=[BOXES[0][:1], BOXES[1]]), r"array \(2,\) of float64, not an array \(1,\)"),
        (
            valid(objectness_logits=[np.array([0, np.inf]), np.zeros(0)]),
            "id 7: a box or logit is not finite",
        ),
        (pickle.dumps(valid())[:-9], "not a readable pickle"),
        (b"", "not a readable pickle"),
    ],
)
def test_what_is_no_proposals(add, content, message):
    with pytest.raises(InputError, match=message) as refused:
        add(content)
    assert "proposals.pkl" in str(refused.value)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_trap_is_refused_and_not_run(add, tmp_path):
    with pytest.raises(InputError, match="is refused: it holds _?io.open"):
        add(valid(note=Trap(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()
