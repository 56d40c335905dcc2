"""A dataset of one's own in COCO's keypoint format: three values, and the rest follows from it."""

from detectron2.config import LazyCall as L
from omegaconf import DictConfig

from pose_project.data import count_classes, count_keypoints

custom = dict(
    # Annotations to train on and to score on.
    train_json="",
    val_json="",
    # The folder that file_name in both is relative to.
    image_root="",
    # Only if the photos to score on lie elsewhere.
    val_image_root="${custom.image_root}",
    # Only if the annotations do not list their keypoints: coco_wholebody, halpe136, hand21 ..., or
    # a JSON file with the categories; docs/formats.md.
    schema="",
)


_SCHEMA = "${schema_suffix:${custom.schema}}"
_TRAIN = "${custom.train_json}@${custom.image_root}" + _SCHEMA
_VAL = "${custom.val_json}@${custom.val_image_root}" + _SCHEMA


def read_from_json(model: DictConfig, dataloader: DictConfig) -> None:
    """Let names, flips and sigmas, and the sizes of the heads, follow from the annotations."""
    dataloader.train.dataset.names = _TRAIN
    dataloader.test.dataset.names = _VAL
    heads = model.roi_heads
    heads.num_classes = L(count_classes)(dataset_names=_TRAIN)
    # of both, so that annotations with other keypoints to score on are refused
    heads.keypoint_head.num_keypoints = L(count_keypoints)(dataset_names=[_TRAIN, _VAL])
