"""Categories of training and evaluation are matched by name."""

import json
import logging

import pytest
import torch
from detectron2.structures import Boxes, Instances

from pose_project.data import get_categories, register_keypoint_dataset
from pose_project.evaluation import PoseEvaluator
from pose_project.extras.training_hooks.validation_loss import check_same_classes
from pose_project.utils.errors import InputError

MAN, DOG = ["head", "foot"], ["nose", "tail", "paw"]
TRAINED = [
    {"id": 1, "name": "man", "keypoints": MAN},
    {"id": 2, "name": "dog", "keypoints": DOG},
]


def dataset(tmp_path, categories: list[dict], name: str = "truth") -> str:
    """One image with an instance of each category, each 20 px to the right of the one before."""
    annotations = []
    for place, each in enumerate(categories):
        rows = range(len(each["keypoints"]))
        points = [v for n in rows for v in (12 + 20 * place, 15 + 9 * n, 2)]
        box = [10 + 20 * place, 10, 15, 40]
        annotations.append(
            {"id": place + 1, "image_id": 1, "category_id": each["id"], "bbox": box, "iscrowd": 0}
            | {"area": 300, "keypoints": points, "num_keypoints": len(rows)}
        )
    image = {"id": 1, "file_name": "1.png", "height": 64, "width": 80}
    content = {"images": [image], "annotations": annotations, "categories": categories}
    json_file = tmp_path / f"{name}.json"
    json_file.write_text(json.dumps(content))
    register_keypoint_dataset(name, json_file, tmp_path)
    return name


def predictions(places: dict[int, int]) -> Instances:
    """What a model trained on TRAINED finds: for each of its classes, the place of an instance."""
    rows = {0: [0, 1], 1: [2, 3, 4]}  # of the union of its keypoints
    keypoints = torch.zeros(len(places), 5, 3)
    for person, (index, place) in enumerate(places.items()):
        for number, row in enumerate(rows[index]):
            keypoints[person, row] = torch.tensor([12.5 + 20 * place, 15.5 + 9 * number, 1.0])
    corners = [[10 + 20 * place, 10, 25 + 20 * place, 50] for place in places.values()]
    return Instances(
        (64, 80),
        pred_boxes=Boxes(torch.tensor(corners, dtype=torch.float32)),
        scores=torch.full((len(places),), 0.9),
        pred_classes=torch.tensor(list(places)),
        pred_keypoints=keypoints,
    )


def score(name: str, found: Instances) -> dict:
    evaluator = PoseEvaluator(name)
    evaluator.reset()
    evaluator.match_categories(TRAINED)
    evaluator.process([{"image_id": 1}], [{"instances": found}])
    return evaluator.evaluate()


def test_other_numbers_and_another_order(tmp_path):
    categories = [{**TRAINED[1], "id": 3}, {**TRAINED[0], "id": 7}]  # the dog first
    results = score(dataset(tmp_path, categories), predictions({0: 1, 1: 0}))
    assert results["bbox"]["AP"] == pytest.approx(100)
    assert results["keypoints_man"]["AP"] == results["keypoints_dog"]["AP"] == pytest.approx(100)


def test_a_category_that_validation_lacks_is_not_scored(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="pose_project.evaluation"):
        results = score(dataset(tmp_path, [{**TRAINED[0], "id": 4}]), predictions({0: 0, 1: 1}))
    assert results["bbox"]["AP"] == results["keypoints"]["AP"] == pytest.approx(100)
    assert "does not list 'dog': these predictions are not scored" in caplog.text


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([*TRAINED, {"id": 3, "name": "cat", "keypoints": DOG}], "lists category 'cat', which the"),
        ([{**TRAINED[0], "keypoints": ["head", "hand"]}, TRAINED[1]], "number 2 is 'hand' there"),
        ([{**TRAINED[0], "keypoints": ["head"]}, TRAINED[1]], "number 2 is None there and 'foot'"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, categories, message):
    evaluator = PoseEvaluator(dataset(tmp_path, categories))
    with pytest.raises(InputError, match=message):
        evaluator.match_categories(TRAINED)


def test_the_only_category_may_have_another_name(tmp_path):
    evaluator = PoseEvaluator(dataset(tmp_path, [{"id": 5, "name": "human", "keypoints": MAN}]))
    evaluator.match_categories(TRAINED[:1])
    assert evaluator.class_ids == [5]


def test_the_datasets_own_categories_are_matched(tmp_path):
    name = dataset(tmp_path, TRAINED)
    evaluator = PoseEvaluator(name)
    evaluator.match_categories(get_categories(name))
    assert evaluator.class_ids == [1, 2]


def test_losses_need_the_same_order(tmp_path):
    check_same_classes(TRAINED, dataset(tmp_path, TRAINED, "same"))
    name = dataset(tmp_path, [{**TRAINED[1], "id": 3}, {**TRAINED[0], "id": 7}], "turned")
    with pytest.raises(InputError, match="in their order: man, dog; turned has dog, man"):
        check_same_classes(TRAINED, name)


def test_files_of_one_and_two_categories(test_data):
    cases = test_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip("the small inputs that were read wrongly are not at hand")
    for name in ("two", "two_onlyman"):
        register_keypoint_dataset(name, cases / f"{name}.json", cases / "photos")
    two = get_categories("two")
    evaluator = PoseEvaluator("two_onlyman")
    evaluator.match_categories(two)
    assert evaluator.class_ids.count(None) == len(two) - 1
    with pytest.raises(InputError, match="which the model does not predict"):
        PoseEvaluator("two").match_categories(get_categories("two_onlyman"))
