"""A stronger list of augmentations than resize and flip, see docs/augmentation.md."""

from detectron2.config import LazyCall as L
from detectron2.data import transforms as T
from omegaconf import DictConfig

from pose_project.extras.augmentation import Grey, InRGB, PersonCrop, RandomAffine, RandomBlur


def add_augmentations(dataloader: DictConfig, jitter_size_hw: tuple[int, int]) -> None:
    """Put a config's own resize and flip among stronger augmentations.

    Args:
        dataloader: a config's, with resize and flip of ``common/data.py``.
        jitter_size_hw: height and width of the pictures of large-scale jitter, in pixels.
    """
    resize, flip = dataloader.train.mapper.augmentations
    channels = "${model.input_format}"
    dataloader.train.mapper.augmentations = [
        L(T.RandomApply)(tfm_or_aug=L(PersonCrop)(margin=(1.5, 4.0)), prob=0.2),
        resize,
        L(T.RandomApply)(
            # detectron2 configs/common/data/coco.py of ViTDet has scales of 0.1 to 2; a person of
            # whom less than a third of a side is left has no keypoints to learn
            tfm_or_aug=L(T.AugmentationList)(
                augs=[
                    L(T.ResizeScale)(
                        min_scale=0.4,
                        max_scale=1.6,
                        target_height=jitter_size_hw[0],
                        target_width=jitter_size_hw[1],
                    ),
                    # FixedSizeCrop alone draws one number for x and y: it crops on a diagonal
                    L(T.RandomCrop)(crop_type="absolute", crop_size=jitter_size_hw),
                    L(T.FixedSizeCrop)(crop_size=jitter_size_hw),
                ]
            ),
            prob=0.3,
        ),
        # 40 degrees and a quarter of the size, about as the top-down models on COCO are trained
        L(T.RandomApply)(
            tfm_or_aug=L(RandomAffine)(angle=(-40.0, 40.0), scale=(0.75, 1.25)), prob=0.4
        ),
        flip,
        L(T.RandomBrightness)(intensity_min=0.7, intensity_max=1.3),
        L(T.RandomContrast)(intensity_min=0.7, intensity_max=1.3),
        L(InRGB)(
            augmentations=[L(T.RandomSaturation)(intensity_min=0.6, intensity_max=1.4)],
            image_format=channels,
        ),
        # AlexNet's 0.1, of photos in [0, 255]
        L(InRGB)(augmentations=[L(T.RandomLighting)(scale=25.5)], image_format=channels),
        L(T.RandomApply)(tfm_or_aug=L(RandomBlur)(sigma=(0.5, 2.0)), prob=0.1),
        L(T.RandomApply)(tfm_or_aug=L(Grey)(image_format=channels), prob=0.1),
    ]
