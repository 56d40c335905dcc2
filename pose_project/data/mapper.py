"""From a dataset dict to what the model is fed: the photo as a tensor and its instances."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data import detection_utils
from detectron2.data import transforms as T
from detectron2.structures import Instances, Keypoints
from fvcore.transforms.transform import Transform

from pose_project.utils.errors import InputError, UnreadablePhotoError


class KeypointMapper:
    """Read a photo, augment it, and move boxes, polygons and keypoints with it.

    Against Detectron2's ``DatasetMapper``: each annotation decides for itself whether it has
    keypoints, ``gt_keypoints`` is always there, and every kind of mirror swaps left and right, not
    only ``HFlipTransform``.

    Args:
        augmentations: Detectron2 augmentations, applied in order.
        hflip_indices: K row indices, see ``KeypointSchema.hflip_indices``.
        is_train: False leaves the annotations out and returns the photo alone.
        image_format: channel order of the tensor, ``"BGR"`` or ``"RGB"``.
        use_instance_mask: also return ``gt_masks``: polygons, or bitmasks in photos where an
            annotation has its mask as RLE.
        proposal_topk: keep so many of a photo's precomputed proposals, the best; None is for models
            that make their own, and leaves a photo's out.
    """

    def __init__(
        self,
        augmentations: Sequence[T.Augmentation | T.Transform],
        hflip_indices: Sequence[int],
        is_train: bool = True,
        image_format: str = "BGR",
        use_instance_mask: bool = False,
        proposal_topk: int | None = None,
    ) -> None:
        if proposal_topk is not None and proposal_topk < 1:
            raise InputError(f"proposal_topk must be at least 1, got {proposal_topk}")
        self.augmentations = T.AugmentationList(list(augmentations))
        self.hflip_indices = np.asarray(hflip_indices, dtype=np.int64)
        self.is_train = is_train
        self.image_format = image_format
        self.use_instance_mask = use_instance_mask
        self.proposal_topk = proposal_topk

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
            InputError: if an annotation has another number of keypoints than the schema, or
                proposals are wanted and the dict has none.
            UnreadablePhotoError: if the photo cannot be read or has another size than its dict
                says.
        """
        output = {
            key: value
            for key, value in dataset_dict.items()
            if key != "annotations" and not key.startswith("proposal_")
        }
        image = read_photo(output, self.image_format)
        augmented = T.AugInput(image)
        transforms = self.augmentations(augmented)
        image_size_hw = augmented.image.shape[:2]
        output["image"] = torch.from_numpy(np.ascontiguousarray(augmented.image.transpose(2, 0, 1)))
        if self.proposal_topk is not None:
            output["proposals"] = self._move_proposals(dataset_dict, transforms, image_size_hw)
        if self.is_train:
            people = [a for a in dataset_dict.get("annotations", ()) if not a.get("iscrowd", 0)]
            swap = self.hflip_indices if is_mirrored(transforms, image.shape[:2]) else None
            keypoints = [
                transform_keypoints(each, transforms, image_size_hw, swap)
                for each in self._read_keypoints(people, dataset_dict["file_name"])
            ]
            for field in ("bbox", *(["segmentation"] if self.use_instance_mask else [])):
                if not all(field in each for each in people):
                    raise InputError(f"{dataset_dict['file_name']}: an annotation has no {field}")
            instances = self._to_instances(people, transforms, image_size_hw)
            shape = (len(people), len(self.hflip_indices), 3)
            instances.gt_keypoints = Keypoints(np.reshape(keypoints, shape))
            output["instances"] = detection_utils.filter_empty_instances(instances)
        return output

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

    @property
    def _unlabelled(self) -> np.ndarray:
        return np.zeros((len(self.hflip_indices), 3))

    def _read_keypoints(self, people: list[dict[str, Any]], file_name: str) -> Iterator[np.ndarray]:
        """Yield (K, 3) for each person, all unlabelled where an annotation has no keypoints."""
        for annotation in people:
            values = annotation.get("keypoints")
            try:
                keypoints = np.array(values, dtype=np.float64) if values else self._unlabelled
            except (ValueError, TypeError) as error:
                raise InputError(f"{file_name}: keypoints that are no numbers: {error}") from error
            if keypoints.size != self._unlabelled.size:
                raise InputError(
                    f"{file_name}: an annotation has {keypoints.size} keypoint values, but its "
                    f"dataset defines {len(self.hflip_indices)} keypoints of 3 values each"
                )
            yield keypoints.reshape(-1, 3)

    def _to_instances(
        self,
        people: list[dict[str, Any]],
        transforms: T.TransformList,
        image_size_hw: tuple[int, int],
    ) -> Instances:
        """Return boxes, classes and, if wanted, masks in the space after ``transforms``."""
        fields = {"bbox", "bbox_mode", "category_id"}
        if self.use_instance_mask:
            fields.add("segmentation")
        moved = [
            detection_utils.transform_instance_annotations(
                copy.deepcopy({key: each[key] for key in fields if key in each}),
                transforms,
                image_size_hw,
            )
            for each in people
        ]
        as_polygons = all(isinstance(each.get("segmentation", []), list) for each in people)
        return detection_utils.annotations_to_instances(
            moved, image_size_hw, mask_format="polygon" if as_polygons else "bitmask"
        )


def read_photo(photo: dict[str, Any], image_format: str) -> np.ndarray:
    """Return a photo as its dataset describes it.

    Args:
        photo: dataset dict; gets ``height`` and ``width`` if it has none.
        image_format: ``"BGR"`` or ``"RGB"``.

    Returns:
        (H, W, 3) uint8, turned as its EXIF data say.

    Raises:
        UnreadablePhotoError: if the photo cannot be read or has another size than its dict says.
    """
    try:
        image = detection_utils.read_image(photo["file_name"], format=image_format)
        detection_utils.check_image_size(photo, image)
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        reason = " ".join(str(error).split())
        raise UnreadablePhotoError(f"{photo['file_name']} cannot be used: {reason}") from error
    return image


def transform_keypoints(
    keypoints: np.ndarray,
    transforms: T.TransformList | Transform,
    image_size_hw: tuple[int, int],
    swap_indices: np.ndarray | None,
) -> np.ndarray:
    """Return keypoints moved with the photo.

    Args:
        keypoints: (K, 3) as (x, y, v), continuous coordinates of the photo before; not changed.
        transforms: what was done to the photo.
        image_size_hw: height and width of the photo after.
        swap_indices: the row that each row takes if the photo was mirrored, else None.

    Returns:
        (K, 3) float64 in the space after. Points outside the photo have v = 0; where v = 0, x and
        y are 0 (COCO's convention).
    """
    moved = keypoints.astype(np.float64, copy=True)
    moved[:, :2] = transforms.apply_coords(moved[:, :2].copy())
    height, width = image_size_hw
    inside = ((moved[:, :2] >= 0) & (moved[:, :2] <= (width, height))).all(axis=1)
    moved[~inside | (moved[:, 2] == 0)] = 0
    return moved if swap_indices is None else moved[swap_indices]


def is_mirrored(transforms: T.TransformList | Transform, image_size_hw: tuple[int, int]) -> bool:
    """Return whether transforms turn left into right: a mirror does, a rotation does not.

    Decided by the orientation of three points around the photo's centre, so that any transform
    counts, not only ``HFlipTransform``.
    """
    height, width = image_size_hw
    centre = np.array([width, height]) / 2
    probe = centre + np.array([[0.0, 0.0], [width / 4, 0.0], [0.0, height / 4]])
    origin, right, down = transforms.apply_coords(probe)
    a, b = right - origin, down - origin
    return bool(a[0] * b[1] - a[1] * b[0] < 0)
