"""From images in memory to poses."""

import copy
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from torch import Tensor

from pose_project.config.building import build
from pose_project.config.loading import load_config
from pose_project.data.augmentation.augmented_image import AugmentedImage, to_planes
from pose_project.data.image_reading import read_photo
from pose_project.data.mapper import KeypointMapper
from pose_project.evaluation.model_categories import load_categories
from pose_project.inference.image_poses import ImagePoses
from pose_project.inference.model import load_model
from pose_project.modeling.acceleration import inference_model
from pose_project.structures.poses import Poses
from pose_project.utils.errors import InputError
from pose_project.utils.extras import find_extra


class PosePredictor:
    """A trained model that takes images as OpenCV reads them, or their files.

    >>> predictor = PosePredictor.from_pretrained("output/demo")  # doctest: +SKIP
    >>> predictor("photo.jpg").keypoints.shape  # doctest: +SKIP
    (3, 17, 3)

    Images are resized as ``dataloader.test`` does, and the model runs as ``train.inference`` says.

    Args:
        cfg: LazyConfig of the model.
        weights: its checkpoint: a file or an address that Detectron2 can fetch. Names and skeleton
            come from the JSON beside it; where there is none, from the config's dataset.

    Attributes:
        categories: what is predicted, as ``categories`` of a COCO JSON.
        schema: of the K keypoints.

    Raises:
        InputError: if config and weights do not make a model that predicts keypoints.
    """

    def __init__(self, cfg: DictConfig, weights: str) -> None:
        self.categories = load_categories(cfg, weights)
        model, self.schema = load_model(cfg, weights, self.categories)
        self.model = inference_model(model, cfg.train.inference, self.schema)
        self.mapper = self._build_mapper(cfg)

    @classmethod
    def from_pretrained(
        cls, name: str | None = None, overrides: Sequence[str] = ()
    ) -> "PosePredictor":
        """Return the predictor of a model by its name.

        Args:
            name: of a published model, see ``pose-project models``; None for the default. Its
                weights are fetched if they are not in the cache. Or the folder of a run, or a
                checkpoint in one.
            overrides: ``key=value`` of the config, such as ``train.device=cpu``.

        Raises:
            InputError: if there is no such model, or its weights cannot be had.
        """
        zoo = find_extra("model_zoo.locating")
        if zoo is None:
            raise InputError("models have no names here: use PosePredictor.from_files")
        files = zoo.locate_model(name)
        return cls.from_files(files.config_file, files.weights, overrides)

    @classmethod
    def from_files(
        cls, config_file: str, weights: str, overrides: Sequence[str] = ()
    ) -> "PosePredictor":
        """Return the predictor of a config's file, with ``key=value`` overrides."""
        return cls(load_config(config_file, overrides), weights)

    def __call__(self, image: np.ndarray | str | Path) -> ImagePoses:
        """Return the poses in an image.

        Args:
            image: (H, W, 3) uint8, blue, green, red; or a photo's file.

        Raises:
            InputError: if it is neither.
        """
        if isinstance(image, (str, Path)):
            image = read_photo({"file_name": str(image)}, "BGR")
        (poses,) = self.predict([image])
        values = {field.name: getattr(poses, field.name) for field in fields(poses)}
        return ImagePoses(**values, image_bgr=image, schema=self.schema, categories=self.categories)

    def predict(self, images_bgr: Sequence[np.ndarray]) -> list[Poses]:
        """Return the poses in each of some images, computed in batches.

        Images of the same size once padded for the model are one batch, so that what is found in
        one does not depend on the others.

        Args:
            images_bgr: (H, W, 3) uint8 each, of any sizes.

        Raises:
            InputError: if an image is not such an array.
        """
        inputs = [self._to_input(image) for image in images_bgr]
        batches: dict[tuple[int, ...], list[int]] = {}
        for index, each in enumerate(inputs):
            batches.setdefault(self._padded_hw(each["image"]), []).append(index)
        poses: dict[int, Poses] = {}
        for batch in batches.values():
            for index, output in zip(batch, self.model([inputs[i] for i in batch]), strict=True):
                poses[index] = Poses.of_instances(output["instances"])
        return [poses[index] for index in range(len(inputs))]

    def _padded_hw(self, image: Tensor) -> tuple[int, ...]:
        """Return the height and width that a model pads a (3, H, W) image to."""
        multiple = max(self.model.model.backbone.size_divisibility, 1)
        return tuple(-(-side // multiple) * multiple for side in image.shape[-2:])

    def _build_mapper(self, cfg: DictConfig) -> KeypointMapper:
        cfg = copy.deepcopy(cfg)
        # named by the dataset in the config, which need not be there
        cfg.dataloader.test.mapper.hflip_indices = list(self.schema.hflip_indices)
        return build(cfg, "dataloader.test.mapper")

    def _to_input(self, image_bgr: np.ndarray) -> dict[str, Any]:
        image = np.asarray(image_bgr)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError(
                "an image must be an (H, W, 3) uint8 array of blue, green and red, got "
                f"{image.dtype} {image.shape}"
            )
        if self.mapper.image_format == "RGB":
            image = image[:, :, ::-1]
        picture = AugmentedImage(image, np.zeros((0, 4)), self.mapper.fast_resize)
        self.mapper.augmentations(picture)
        height, width = image.shape[:2]
        return {"image": to_planes(picture.image), "height": height, "width": width}
