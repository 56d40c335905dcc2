"""Synthetic photos by name, ``synthetic_<level>_<split>_<photos>``, made when first used."""

import re

from pose_project.data.catalog import (
    DatasetFamily,
    register_dataset_family,
    register_keypoint_dataset,
)
from pose_project.structures import COCO_PERSON


def _register(match: re.Match[str]) -> None:
    # here, since asking what is predicted needs none of it
    from pose_project.extras.synthetic.generation import ensure_synthetic_dataset

    level, split, num_photos = match.groups()
    root = ensure_synthetic_dataset(level, split, int(num_photos))
    json_file = root / "annotations" / f"person_keypoints_{split}2017.json"
    register_keypoint_dataset(match.group(), json_file, root / f"{split}2017")


register_dataset_family(
    DatasetFamily(
        re.compile(r"synthetic_([a-z]+)_(train|val)_(\d+)"),
        _register,
        (COCO_PERSON.to_coco_category(1, "person"),),
    )
)
