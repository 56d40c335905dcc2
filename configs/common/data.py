"""COCO 2017 person keypoints, augmented and batched as in Detectron2's keypoint baselines."""

from detectron2.config import LazyCall as L
from detectron2.data import build_detection_test_loader
from detectron2.data import transforms as T
from omegaconf import OmegaConf

from pose_project.data import (
    KeypointMapper,
    build_train_loader,
    create_hflip_indices,
    get_dataset_dicts,
)
from pose_project.evaluation import PoseEvaluator

dataloader = OmegaConf.create()

dataloader.train = L(build_train_loader)(
    dataset=L(get_dataset_dicts)(
        names="keypoints_coco_2017_train",
        filter_empty=True,
        min_keypoints=1,  # detectron2 configs/common/data/coco_keypoint.py
    ),
    mapper=L(KeypointMapper)(
        is_train=True,
        augmentations=[
            # detectron2 configs/Base-RCNN-FPN.yaml, MIN_SIZE_TRAIN and MAX_SIZE_TRAIN
            L(T.ResizeShortestEdge)(
                short_edge_length=(640, 672, 704, 736, 768, 800),
                sample_style="choice",
                max_size=1333,
            ),
            L(T.RandomFlip)(prob=0.5),
        ],
        image_format="${model.input_format}",
        # as Pillow but for rounding, in a fifth of the time; evaluation stays with Pillow
        fast_resize=True,
        # resolved when the mapper is built, from the dataset that is then named
        hflip_indices=L(create_hflip_indices)(dataset_names="${...dataset.names}"),
    ),
    total_batch_size=16,
    num_workers=4,
    seed="${train.seed}",
)

dataloader.test = L(build_detection_test_loader)(
    dataset=L(get_dataset_dicts)(names="keypoints_coco_2017_val", filter_empty=False),
    mapper=L(KeypointMapper)(
        is_train=False,
        augmentations=[L(T.ResizeShortestEdge)(short_edge_length=800, max_size=1333)],
        image_format="${model.input_format}",
        hflip_indices=L(create_hflip_indices)(dataset_names="${...dataset.names}"),
    ),
    num_workers=4,
)

dataloader.evaluator = L(PoseEvaluator)(
    dataset_name="${..test.dataset.names}",
    output_dir="${train.output_dir}/inference",
)
