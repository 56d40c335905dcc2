"""The drawn parts of a body, as numbers in a part buffer, and which parts carry which joint."""

from enum import IntEnum

from pose_project.extras.synthetic.people import SIDES
from pose_project.structures.schema import COCO_PERSON


class Part(IntEnum):
    """What a pixel of a figure shows; ``_LEFT`` and ``_RIGHT`` are the person's own sides."""

    NONE = 0
    NECK = 1
    TORSO = 2
    SKULL = 3  # hair, and skin that is not the face
    FACE_LEFT = 4
    FACE_RIGHT = 5
    NOSE = 6
    EAR_LEFT = 7
    EAR_RIGHT = 8
    UPPER_ARM_LEFT = 9
    UPPER_ARM_RIGHT = 10
    FOREARM_LEFT = 11
    FOREARM_RIGHT = 12
    HAND_LEFT = 13
    HAND_RIGHT = 14
    THIGH_LEFT = 15
    THIGH_RIGHT = 16
    SHIN_LEFT = 17
    SHIN_RIGHT = 18
    FOOT_LEFT = 19
    FOOT_RIGHT = 20


_PARTS_OF_JOINT = {
    "eye": ("FACE",),
    "ear": ("EAR",),
    "shoulder": ("UPPER_ARM",),
    "elbow": ("UPPER_ARM", "FOREARM"),
    "wrist": ("FOREARM", "HAND"),
    "hip": ("THIGH",),
    "knee": ("THIGH", "SHIN"),
    "ankle": ("SHIN", "FOOT"),
}

CARRIERS: dict[str, frozenset[Part]] = {"nose": frozenset({Part.NOSE})} | {
    f"{side}_{joint}": frozenset(Part[f"{part}_{side.upper()}"] for part in parts)
    for side in SIDES
    for joint, parts in _PARTS_OF_JOINT.items()
}
"""The parts a joint is seen on. The trunk carries shoulders and hips too, unless it hides them."""
assert CARRIERS.keys() == set(COCO_PERSON.names)
