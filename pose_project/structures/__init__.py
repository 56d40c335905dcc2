"""Plain descriptions that everything else builds on; imports nothing of this package."""

from pose_project.structures.categories import merge_schemas, schema_of_categories
from pose_project.structures.coordinates import continuous_to_coco
from pose_project.structures.flip_pairs import infer_flip_pairs
from pose_project.structures.schema import COCO_PERSON, KeypointSchema

__all__ = [
    "COCO_PERSON",
    "KeypointSchema",
    "continuous_to_coco",
    "infer_flip_pairs",
    "merge_schemas",
    "schema_of_categories",
]
