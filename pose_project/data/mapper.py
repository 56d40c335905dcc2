"""From a dataset dict to what the model is fed: the photo as a tensor and its instances."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from detectron2.structures import (
    BitMasks,
    Boxes,
    BoxMode,
    Instances,
    Keypoints,
    PolygonMasks,
)

from pose_project.data.annotation_transforms import (
    is_mirror,
    linear_part,
    move_boxes,
    move_keypoints,
    move_mask,
)
from pose_project.data.augmentation.augmented_image import AugmentedImage, to_planes
from pose_project.data.image_reading import read_photo
from pose_project.utils.errors import InputError


class KeypointMapper:
    """Read a photo, augment it, and move boxes, polygons and keypoints with it.

    Against Detectron2's ``DatasetMapper``: each annotation decides for itself whether it has
    keypoints, ``gt_keypoints`` is always there, every kind of mirror swaps left and right, not only
    ``HFlipTransform``, boxes are tight after turns and crops (see ``move_boxes``), and what a crop
    cut off does not come back with padding.

    Args:
        augmentations: Detectron2 augmentations, applied in order.
        hflip_indices: K row indices, see ``KeypointSchema.hflip_indices``.
        is_train: False leaves the annotations out and returns the photo alone.
        image_format: channel order of the tensor, ``"BGR"`` or ``"RGB"``.
        use_instance_mask: also return ``gt_masks``: polygons, or bitmasks in photos where an
            annotation has its mask as RLE. People without a mask are left out.
        keep_without_mask: keep them instead, with an empty mask, for models whose masks only teach.
        proposal_topk: keep so many of a photo's precomputed proposals, the best; None is for models
            that make their own, and leaves a photo's out.
        fast_resize: resize by torch instead of Pillow. The filter is the same; a few values in
            1,000 at most differ, by 1 of 255, see ``resize_filtered``.
        drop_without_keypoints: leave people out of whom no labelled keypoint is in the picture;
            they become background for the detector. False keeps their boxes.
    """

    def __init__(
        self,
        augmentations: Sequence[T.Augmentation | T.Transform],
        hflip_indices: Sequence[int],
        is_train: bool = True,
        image_format: str = "BGR",
        use_instance_mask: bool = False,
        keep_without_mask: bool = False,
        proposal_topk: int | None = None,
        fast_resize: bool = False,
        drop_without_keypoints: bool = False,
    ) -> None:
        if proposal_topk is not None and proposal_topk < 1:
            raise InputError(f"proposal_topk must be at least 1, got {proposal_topk}")
        self.augmentations = T.AugmentationList(list(augmentations))
        self.hflip_indices = np.asarray(hflip_indices, dtype=np.int64)
        self.is_train = is_train
        self.image_format = image_format
        self.use_instance_mask = use_instance_mask
        self.keep_without_mask = keep_without_mask
        self.proposal_topk = proposal_topk
        self.fast_resize = fast_resize
        self.drop_without_keypoints = drop_without_keypoints

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """Return the model's input for one photo.

        Args:
            dataset_dict: one entry of ``get_dataset_dicts``; not changed.

        Returns:
            The dict's photo fields and ``image``: (3, H, W) uint8, H and W after augmentation; in
            training also ``instances`` with ``gt_boxes gt_classes gt_keypoints`` in the space of
            ``image``. With ``proposal_topk`` also ``proposals``: ``Instances`` with
            ``proposal_boxes objectness_logits`` in the same space, the best first.

        Raises:
            InputError: if an annotation has another number of keypoints than the schema or a mask
                of another size than its photo, or proposals are wanted and the dict has none.
            UnreadablePhotoError: if the photo cannot be read or has another size than its dict
                says.
        """
        output = {
            key: value
            for key, value in dataset_dict.items()
            if key != "annotations" and not key.startswith("proposal_")
        }
        image = read_photo(output, self.image_format)
        annotations = dataset_dict.get("annotations", ()) if self.is_train else ()
        people = [each for each in annotations if not each.get("iscrowd", 0)]
        # how many these are is said by the loader
        if self.use_instance_mask and not self.keep_without_mask:
            people = [each for each in people if "segmentation" in each]
        boxes = self._read_boxes(people, dataset_dict["file_name"])
        augmented = AugmentedImage(image, boxes, self.fast_resize)
        transforms = self.augmentations(augmented)
        output["image"] = to_planes(augmented.image)
        if self.proposal_topk is not None:
            picture_hw = augmented.image.shape[:2]
            output["proposals"] = self._move_proposals(dataset_dict, transforms, picture_hw)
        if self.is_train:
            output["instances"] = self._move_people(
                people, boxes, dataset_dict["file_name"], image.shape[:2], augmented, transforms
            )
        return output

    def _move_people(
        self,
        people: list[dict[str, Any]],
        boxes: np.ndarray,
        file_name: str,
        photo_hw: tuple[int, int],
        augmented: AugmentedImage,
        transforms: T.TransformList,
    ) -> Instances:
        """Return those of whom something is left, in the space after ``transforms``."""
        picture_hw = augmented.image.shape[:2]
        region = augmented.region
        if self.use_instance_mask or region is not None:  # the masks are looked at
            _check_mask_sizes(people, photo_hw, file_name)
        linear = linear_part(transforms, photo_hw)
        swap = self.hflip_indices if is_mirror(linear) else None
        keypoints = self._read_keypoints(people, file_name)
        keypoints = move_keypoints(keypoints, transforms, picture_hw, region, swap)
        boxes = move_boxes(boxes, people, keypoints, transforms, linear, picture_hw, region)
        instances = Instances(picture_hw)
        instances.gt_boxes = Boxes(torch.from_numpy(boxes.astype(np.float32)))
        instances.gt_classes = torch.tensor([a["category_id"] for a in people], dtype=torch.int64)
        if self.use_instance_mask:
            masks = (each.get("segmentation", []) for each in people)
            instances.gt_masks = _to_masks(
                [move_mask(each, transforms, region) for each in masks], picture_hw
            )
        instances.gt_keypoints = Keypoints(keypoints)
        if self.drop_without_keypoints:
            instances = instances[(instances.gt_keypoints.tensor[..., 2] > 0).any(dim=1)]
        return detection_utils.filter_empty_instances(instances, by_mask=not self.keep_without_mask)

    def _move_proposals(
        self,
        photo: dict[str, Any],
        transforms: T.TransformList,
        image_size_hw: tuple[int, int],
    ) -> Instances:
        """Return the best proposals in the space after ``transforms``."""
        if "proposal_boxes" not in photo:
            raise InputError(
                f"{photo['file_name']}: the mapper has proposal_topk={self.proposal_topk}, but the "
                "photo has no proposals; set proposal_files of the loader's dataset"
            )
        moved = {key: value for key, value in photo.items() if key.startswith("proposal_")}
        detection_utils.transform_proposals(
            moved, image_size_hw, transforms, proposal_topk=self.proposal_topk
        )
        return moved["proposals"]

    def _read_boxes(self, people: list[dict[str, Any]], file_name: str) -> np.ndarray:
        """Return (N, 4) XYXY_ABS, once all that is needed is known to be there."""
        if not all("bbox" in each for each in people):
            raise InputError(f"{file_name}: an annotation has no bbox")
        boxes = np.zeros((len(people), 4))
        for mode in {each["bbox_mode"] for each in people}:
            rows = [i for i, each in enumerate(people) if each["bbox_mode"] == mode]
            # single precision, as Detectron2 converts them
            given = np.array([people[i]["bbox"] for i in rows], dtype=np.float32)
            boxes[rows] = BoxMode.convert(given, mode, BoxMode.XYXY_ABS)
        return boxes

    def _read_keypoints(self, people: list[dict[str, Any]], file_name: str) -> np.ndarray:
        """Return (N, K, 3), all unlabelled where an annotation has no keypoints."""
        keypoints = np.zeros((len(people), len(self.hflip_indices), 3))
        for i, annotation in enumerate(people):
            values = annotation.get("keypoints")
            try:
                values = np.array(values, dtype=np.float64) if values else keypoints[i]
            except (ValueError, TypeError) as error:
                raise InputError(f"{file_name}: keypoints that are not numbers: {error}") from error
            if values.size != keypoints[i].size:
                raise InputError(
                    f"{file_name}: an annotation has {values.size} keypoint values, but its "
                    f"dataset defines {len(self.hflip_indices)} keypoints of 3 values each"
                )
            keypoints[i] = values.reshape(-1, 3)
        return keypoints


def _check_mask_sizes(
    people: list[dict[str, Any]], photo_hw: tuple[int, int], file_name: str
) -> None:
    for segmentation in (each.get("segmentation") for each in people):
        if isinstance(segmentation, dict) and tuple(segmentation["size"]) != tuple(photo_hw):
            raise InputError(
                f"{file_name}: a mask of {list(segmentation['size'])} pixels (height, width) in a "
                f"photo of {list(photo_hw)}"
            )


def _to_masks(
    masks: list[list[np.ndarray] | np.ndarray], picture_hw: tuple[int, int]
) -> PolygonMasks | BitMasks:
    """Return polygons, or bitmasks where an annotation of the photo has one."""
    if all(isinstance(each, list) for each in masks):
        return PolygonMasks(masks)
    drawn = [
        detection_utils.polygons_to_bitmask(each, *picture_hw) if isinstance(each, list) else each
        for each in masks
    ]
    return BitMasks(torch.from_numpy(np.stack(drawn)))
