import copy
import json
import logging
import math

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances
from helpers.annotations import person

from pose_project.data import get_dataset_dicts, register_keypoint_dataset
from pose_project.data.annotation_files import load_annotations
from pose_project.evaluation import PoseEvaluator, score_results
from pose_project.evaluation.scoring import ENGINES, Scorer
from pose_project.structures import COCO_PERSON
from pose_project.structures.coco_results import to_coco_results
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError


def predicted(annotation: dict, score: float = 0.9, shift: float = 0.0) -> Instances:
    """The annotation as a model would predict it: continuous coordinates, XYXY boxes."""
    x, y, width, height = annotation["bbox"]
    points = torch.tensor(annotation["keypoints"]).reshape(1, -1, 3)
    points[..., :2] += 0.5 + shift
    points[..., 2] = 0.7
    return Instances(
        (64, 80),
        pred_boxes=Boxes(torch.tensor([[x, y, x + width, y + height]], dtype=torch.float32)),
        scores=torch.tensor([score]),
        pred_classes=torch.tensor([0]),
        pred_keypoints=points,
    )


def evaluate(name: str, predictions: dict[int, Instances], **changes) -> dict:
    evaluator = PoseEvaluator(name, **changes)
    evaluator.reset()
    for image_id, instances in predictions.items():
        evaluator.process([{"image_id": image_id}], [{"instances": instances}])
    return evaluator.evaluate()


@pytest.fixture
def people(write_dataset):
    annotations = [person(1, 1), person(2, 2, category_id=1)]
    register_keypoint_dataset("scored", *write_dataset(annotations, sizes_hw=((64, 80),) * 2))
    return annotations


@pytest.mark.parametrize("engine", ENGINES)
def test_perfect_predictions_score_100(people, engine):
    results = evaluate("scored", {1: predicted(people[0]), 2: predicted(people[1])}, engine=engine)
    assert list(results) == ["bbox", "keypoints"]
    assert results["keypoints"]["AP"] == pytest.approx(100)
    assert results["keypoints"]["AR"] == pytest.approx(100)
    assert results["bbox"]["AR100"] == pytest.approx(100)
    assert (len(results["keypoints"]), len(results["bbox"])) == (10, 12)
    assert math.isnan(results["keypoints"]["APl"])  # nobody large in this ground truth


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_not_changed(people, write_dataset, engine):
    results = to_coco_results([Poses.of_instances(predicted(people[0]))], [1], COCO_PERSON, [1])
    before = copy.deepcopy(results)
    json_file, _ = write_dataset(people, sizes_hw=((64, 80),) * 2)
    for task in ("bbox", "keypoints"):
        assert score_results(str(json_file), results, task, engine=engine)[0] > 0
    assert results == before


@pytest.mark.parametrize("engine", ENGINES)
def test_no_prediction_at_all_scores_zero(people, engine):
    nobody = predicted(people[0])[:0]
    results = evaluate("scored", {1: nobody, 2: nobody}, engine=engine)
    assert results["keypoints"]["AP"] == results["bbox"]["AP"] == 0


def test_half_a_pixel_matters_and_is_not_subtracted_twice(people):
    """COCO's points are pixel indices: half a pixel off would cost AP on people this small."""
    instances = predicted(people[0])
    before = copy.deepcopy(instances.pred_keypoints)
    for _ in range(3):
        (result,) = to_coco_results([Poses.of_instances(instances)], [1], COCO_PERSON, [1])
        assert result["keypoints"][:2] == people[0]["keypoints"][:2]
    assert torch.equal(instances.pred_keypoints, before)


def test_detectron2_changes_the_prediction_it_scores(people):
    """The stock fault this guards against."""
    from detectron2.evaluation.coco_evaluation import instances_to_coco_json

    instances = predicted(people[0])
    before = instances.pred_keypoints.clone()
    instances_to_coco_json(instances, 1)
    assert not torch.equal(instances.pred_keypoints, before)


def test_estimated_sigmas_are_named(write_dataset, tmp_path, caplog):
    annotation = person(num_keypoints=2)
    for name, category in (("measured", {"oks_sigmas": [0.1, 0.1]}), ("guessed", {})):
        json_file, photos = write_dataset([annotation], names=("a", "b"), **category)
        register_keypoint_dataset(name, json_file.rename(tmp_path / f"{name}.json"), photos)
        with caplog.at_level(logging.INFO, logger="pose_project.evaluation"):
            evaluate(name, {1: predicted(annotation)}, output_dir=str(tmp_path / name))
        record = json.loads((tmp_path / name / "metrics.json").read_text())
        assert record["oks_sigmas_estimated"] == (name == "guessed")
        assert f"keypoints on {name}{' (OKS sigmas estimated)' * (name == 'guessed')}:" in (
            caplog.text
        )
        assert f"bbox on {name}:" in caplog.text


def test_sigmas_of_the_schema_decide(write_dataset):
    annotation = person(num_keypoints=3)
    for name, sigma in (("strict", 0.01), ("loose", 0.5)):
        category = {"names": ("a", "b", "c"), "oks_sigmas": [sigma] * 3}
        json_file, photos = write_dataset([annotation], **category)
        kept = json_file.rename(json_file.with_name(f"{name}.json"))
        register_keypoint_dataset(name, kept, photos)
    strict, loose = (
        evaluate(name, {1: predicted(annotation, shift=2.0)})["keypoints"]["AP"]
        for name in ("strict", "loose")
    )
    assert strict == 0
    assert loose == pytest.approx(100)


def test_numbers_of_keypoints_that_differ_are_all_printed(people):
    instances = predicted(people[0])
    instances.pred_keypoints = instances.pred_keypoints[:, :5]
    with pytest.raises(InputError, match=r"predicts 5 keypoints.*has 17.*17 OKS sigmas"):
        evaluate("scored", {1: instances})


def test_results_file_is_coco(people, tmp_path):
    evaluate("scored", {1: predicted(people[0])}, output_dir=str(tmp_path / "inference"))
    (result,) = json.loads((tmp_path / "inference" / "coco_instances_results.json").read_text())
    assert result["category_id"] == 1
    assert result["bbox"] == people[0]["bbox"]
    assert len(result["keypoints"]) == 51


def test_unknown_engine(people):
    with pytest.raises(InputError, match="hotcoco.*pycocotools"):
        PoseEvaluator("scored", engine="fast")


@pytest.mark.parametrize("engine", ENGINES)
def test_recorded_results_give_the_recorded_numbers(test_data, engine):
    folder = test_data / "evaluator"
    for case in json.loads((folder / "expected.json").read_text())["cases"]:
        results = json.loads((folder / case["dt"]).read_text())
        sigmas = list(COCO_PERSON.oks_sigmas) if case["iou_type"] == "keypoints" else None
        stats = score_results(str(folder / case["gt"]), results, case["iou_type"], sigmas, engine)
        np.testing.assert_allclose(stats, case["stats"], atol=1e-6)


def random_results(rng: np.random.Generator, truth: dict) -> list[dict]:
    """Noisy copies of the annotations, some missing, some invented."""
    results = []
    for annotation in truth["annotations"]:
        if rng.random() < 0.2:
            continue
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        points[:, :2] += rng.normal(0, rng.uniform(0.2, 6), (17, 2))
        box = np.array(annotation["bbox"], float) + rng.normal(0, 2, 4)
        results.append(
            {
                "image_id": int(annotation["image_id"] if rng.random() < 0.9 else 1),
                "category_id": 1,
                "bbox": [*box[:2], *np.maximum(box[2:], 1)],
                "keypoints": points.flatten().tolist(),
                "score": float(rng.random()),
            }
        )
    return results


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("task", ["bbox", "keypoints"])
def test_the_two_engines_agree(write_dataset, seed, task):
    rng = np.random.default_rng(seed)
    annotations = []
    for annotation_id in range(1, 61):
        side = rng.uniform(20, 200)
        points = np.concatenate(
            [rng.uniform(0, side, (17, 2)), rng.integers(0, 3, (17, 1))], axis=1
        )
        changes = {
            "bbox": [0.0, 0.0, side, side],
            "area": side * side * 0.6,
            "keypoints": points.flatten().tolist(),
            "num_keypoints": int((points[:, 2] > 0).sum()),
            "iscrowd": int(rng.random() < 0.1),
        }
        annotations.append(person(int(rng.integers(1, 9)), annotation_id, **changes))
    json_file, _ = write_dataset(annotations, sizes_hw=((200, 200),) * 8)
    results = random_results(rng, {"annotations": annotations})
    sigmas = list(COCO_PERSON.oks_sigmas)
    numbers = [score_results(str(json_file), results, task, sigmas, e) for e in ENGINES]
    np.testing.assert_allclose(numbers[0], numbers[1], atol=1e-6)
    assert 0 < numbers[0][0] < 1


@pytest.mark.parametrize("engine", ENGINES)
def test_other_categories_of_the_file_are_not_scored(write_dataset, engine):
    json_file, photos = write_dataset([person(), person(annotation_id=2, category_id=9)])
    content = json.loads(json_file.read_text())
    content["categories"].append({"id": 9, "name": "dog"})
    json_file.write_text(json.dumps(content))
    register_keypoint_dataset("walk", json_file, photos)
    get_dataset_dicts("walk")
    results = evaluate("walk", {1: predicted(person())}, engine=engine)
    assert results["bbox"]["AP"] == pytest.approx(100)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_category_is_scored_with_its_own_keypoints_and_sigmas(write_dataset, engine):
    """A cat whose nose is off by as much as its own sigma forgives and a person's would not."""
    cat = person(annotation_id=2, category_id=5, num_keypoints=2, keypoints=[12, 20, 2, 30, 40, 2])
    json_file, photos = write_dataset([person(), cat])
    content = json.loads(json_file.read_text())
    entry = {"id": 5, "name": "cat", "keypoints": ["tail", "nose"], "oks_sigmas": [1.0, 1.0]}
    content["categories"].append(entry)
    json_file.write_text(json.dumps(content))
    register_keypoint_dataset("mixed", json_file, photos)
    (photo,) = get_dataset_dicts("mixed")
    points = torch.tensor([each["keypoints"] for each in photo["annotations"]]).reshape(2, 18, 3)
    points[1, 0, 0] += 4  # the nose has the person's row
    points[1, 3:10] = 1e3  # rows that a cat does not have
    boxes = torch.tensor([[10.0, 15, 44, 49]] * 2)
    instances = Instances(
        (64, 80),
        pred_boxes=Boxes(boxes),
        scores=torch.tensor([0.9, 0.8]),
        pred_classes=torch.tensor([0, 1]),
        pred_keypoints=points,
    )
    results = evaluate("mixed", {1: instances}, engine=engine)
    for task in ("keypoints", "keypoints_person", "keypoints_cat"):
        assert results[task]["AP"] == pytest.approx(100), task
    points[0, 0, 0] += 40
    results = evaluate("mixed", {1: instances}, engine=engine)
    assert results["keypoints_cat"]["AP"] == pytest.approx(100)
    assert results["keypoints_person"]["AP"] < 100
    mean = (100 + results["keypoints_person"]["AP"]) / 2
    assert results["keypoints"]["AP"] == pytest.approx(mean)


@pytest.mark.parametrize("max_detections", [1, 2, 5, 20, 30])
def test_other_numbers_of_detections(test_data, max_detections):
    """Both engines; 20 is COCO's own, whose numbers are given."""
    folder = test_data / "evaluator"
    truth = load_annotations(folder / "keypoints_gt.json").truth()
    results = json.loads((folder / "keypoints_dt.json").read_text())
    ours, reference = (
        Scorer(truth, results, engine).score("keypoints", max_detections=max_detections)
        for engine in ENGINES
    )
    assert ours == pytest.approx(reference, abs=1e-9)
    at_20 = Scorer(truth, results, "pycocotools").score("keypoints")
    assert (ours[5] < at_20[5]) == (max_detections < 20)  # recall


def test_images_with_more_people_than_are_scored_are_counted(write_dataset, caplog):
    files = write_dataset([person(annotation_id=1), person(annotation_id=2)])
    register_keypoint_dataset("crowded", *files)
    evaluator = PoseEvaluator("crowded", max_detections=1)
    evaluator.reset()
    with caplog.at_level(logging.INFO, logger="pose_project.evaluation"):
        evaluator.evaluate()
    assert "1 images have more than 1 labelled people" in caplog.text
    assert "|                1 |" in caplog.text
    with pytest.raises(InputError, match="max_detections must be a whole number from 1, got 0"):
        PoseEvaluator("crowded", max_detections=0)


def test_nobody_to_score_against_is_refused_before_training(write_dataset):
    register_keypoint_dataset("nobody", *write_dataset([]))
    with pytest.raises(InputError, match="nobody to score against: its list of annotations is"):
        PoseEvaluator("nobody")


def test_no_labelled_keypoint_is_refused_before_training(write_dataset):
    unlabelled = person(keypoints=[0] * 51, num_keypoints=0)
    register_keypoint_dataset("unlabelled", *write_dataset([unlabelled]))
    with pytest.raises(InputError, match="labels no keypoint to score against"):
        PoseEvaluator("unlabelled")
    assert PoseEvaluator("unlabelled", tasks=("bbox",)).schema is None
