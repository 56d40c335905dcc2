"""The doctor is asked once a dataset before a training."""

import logging

from helpers.annotations import person
from omegaconf import OmegaConf

from pose_project.data import register_keypoint_dataset
from pose_project.extras.doctor.before_training import log_dataset_findings


def config(train: object, test: object) -> OmegaConf:
    loaders = {
        name: {"dataset": {"names": names}} for name, names in (("train", train), ("test", test))
    }
    return OmegaConf.create({"dataloader": loaders})


def findings(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records if "tells more" in each.getMessage()]


def test_the_doctor_is_asked_once_a_dataset(write_dataset, caplog):
    json_file, photos = write_dataset([{**person(), "num_keypoints": 3}])
    register_keypoint_dataset("odd", json_file, photos)
    with caplog.at_level(logging.INFO, "pose_project"):
        log_dataset_findings(config(["odd", "odd"], "odd"))
    (line,) = findings(caplog)
    assert line.startswith(f"{json_file}: ") and "num-keypoints-wrong 1" in line


def test_names_that_are_none_are_left_to_the_trainer(caplog):
    log_dataset_findings(config(5, None))
    log_dataset_findings(OmegaConf.create({"dataloader": {"train": 3}}))
    log_dataset_findings(config("${nowhere.name}", [1, None]))
    assert findings(caplog) == []
