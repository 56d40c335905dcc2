"""What the keypoints of a dataset are: names, left/right pairs, skeleton and OKS sigmas.

A :class:`KeypointSchema` is the single source for Detectron2's metadata, the flip augmentation,
the evaluator and the visualiser. Everything in it is by *name*; indices are derived.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pose_project.structures.flip_pairs import read_flip_pairs

logger = logging.getLogger(__name__)

ESTIMATED_SIGMA = 0.05
"""OKS sigma of a keypoint nobody has measured; the mean of COCO's seventeen is 0.062."""

SIDE_COLOURS = {"left": (255, 128, 0), "right": (0, 160, 255), None: (120, 220, 60)}
"""RGB in 0..255 of what is left, right, or in the middle."""


@dataclass(frozen=True)
class KeypointSchema:
    """Names, mirror pairs, skeleton and OKS sigmas of one kind of instance.

    Args:
        names: K distinct keypoint names, in the order of the annotations.
        flip_pairs: (left name, right name); a keypoint is in at most one pair.
        skeleton: (name, name) for every line to draw.
        oks_sigmas: K positive per-keypoint constants of the OKS definition
            (https://cocodataset.org/#keypoints-eval). Empty: ``ESTIMATED_SIGMA`` for each.
        sigmas_estimated: True where the sigmas were not measured on annotators.
        categories: (name, schema) of each class where several with keypoints of their own share
            these rows, see ``merge_schemas``; empty where every instance has all K.

    Raises:
        ValueError: if names repeat, a pair or line names an unknown keypoint, a keypoint has two
            mirror images, or the sigmas are not K positive numbers.

    >>> COCO_PERSON.num_keypoints, COCO_PERSON.hflip_indices[:5]
    (17, (0, 2, 1, 4, 3))
    """

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
    oks_sigmas: tuple[float, ...] = ()
    sigmas_estimated: bool = False
    categories: tuple[tuple[str, "KeypointSchema"], ...] = ()

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError(f"keypoint names must be distinct and at least one, got {self.names}")
        for what, pairs in (("flip pair", self.flip_pairs), ("skeleton line", self.skeleton)):
            for pair in pairs:
                unknown = [name for name in pair if name not in self.names]
                if len(pair) != 2 or unknown:
                    raise ValueError(f"{what} {pair} names no known keypoint {unknown or ''}")
        paired = [name for pair in self.flip_pairs for name in pair]
        if len(set(paired)) != len(paired):
            raise ValueError(f"a keypoint has two mirror images in flip_pairs {self.flip_pairs}")
        if not self.oks_sigmas:
            object.__setattr__(self, "oks_sigmas", (ESTIMATED_SIGMA,) * len(self.names))
            object.__setattr__(self, "sigmas_estimated", True)
        if len(self.oks_sigmas) != len(self.names):
            raise ValueError(f"{len(self.oks_sigmas)} OKS sigmas for {len(self.names)} keypoints")
        if not all(math.isfinite(sigma) and sigma > 0 for sigma in self.oks_sigmas):
            raise ValueError(f"OKS sigmas must be positive numbers, got {self.oks_sigmas}")

    @property
    def num_keypoints(self) -> int:
        """K, the number of keypoints."""
        return len(self.names)

    @property
    def hflip_indices(self) -> tuple[int, ...]:
        """For each row of a mirrored instance, the row of the original it takes; an involution."""
        mirror = dict(self.flip_pairs) | {right: left for left, right in self.flip_pairs}
        return tuple(self.names.index(mirror.get(name, name)) for name in self.names)

    @property
    def skeleton_indices(self) -> tuple[tuple[int, int], ...]:
        """The skeleton as 0-based index pairs."""
        return tuple((self.names.index(a), self.names.index(b)) for a, b in self.skeleton)

    def class_schema(self, class_index: int) -> "KeypointSchema":
        """Return the schema of one class: its own, or this one where all classes share it."""
        return self.categories[class_index][1] if self.categories else self

    def class_rows(self, class_index: int) -> tuple[int, ...]:
        """Return which of the K rows an instance of a class has, in its own order."""
        return tuple(self.names.index(name) for name in self.class_schema(class_index).names)

    def side(self, name: str) -> str | None:
        """Return ``"left"``, ``"right"`` or None for a keypoint on the middle line."""
        for left, right in self.flip_pairs:
            if name in (left, right):
                return "left" if name == left else "right"
        return None

    def line_side(self, line: tuple[str, str]) -> str | None:
        """Return the side of a skeleton line: that of its ends where they do not contradict."""
        sides = {self.side(name) for name in line} - {None}
        return sides.pop() if len(sides) == 1 else None

    def metadata(self) -> dict[str, Any]:
        """Return the keys that Detectron2 and this project read from ``MetadataCatalog``.

        ``keypoint_connection_rules`` are (name, name, (r, g, b) in 0..255).
        """
        return {
            "keypoint_names": list(self.names),
            "keypoint_flip_map": [tuple(pair) for pair in self.flip_pairs],
            "keypoint_connection_rules": [
                (a, b, SIDE_COLOURS[self.line_side((a, b))]) for a, b in self.skeleton
            ],
            "keypoint_oks_sigmas": list(self.oks_sigmas),
            "keypoint_sigmas_estimated": self.sigmas_estimated,
            "keypoint_categories": self.categories,
        }

    def to_coco_category(self, id_: int, name: str) -> dict[str, Any]:
        """Return the entry of ``categories`` that ``from_coco_category`` reads this schema from."""
        category = {
            "id": id_,
            "name": name,
            "keypoints": list(self.names),
            "skeleton": [[a + 1, b + 1] for a, b in self.skeleton_indices],
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
        }
        if not self.sigmas_estimated:
            category["oks_sigmas"] = list(self.oks_sigmas)
        return category

    @classmethod
    def from_metadata(cls, metadata: Any) -> "KeypointSchema":
        """Read a schema from a ``MetadataCatalog`` entry that has ``keypoint_names``.

        Without ``keypoint_oks_sigmas``, COCO's constants are taken where the names are COCO's.
        """
        names = tuple(metadata.keypoint_names)
        rules = metadata.get("keypoint_connection_rules", ())
        sigmas = tuple(metadata.get("keypoint_oks_sigmas", ())) or _known_sigmas(names)
        return cls(
            names=names,
            flip_pairs=tuple((a, b) for a, b in metadata.get("keypoint_flip_map", ())),
            skeleton=tuple((a, b) for a, b, _ in rules),
            oks_sigmas=sigmas,
            sigmas_estimated=bool(metadata.get("keypoint_sigmas_estimated", False)),
            categories=tuple(metadata.get("keypoint_categories", ())),
        )

    @classmethod
    def from_coco_category(cls, category: Mapping[str, Any]) -> "KeypointSchema":
        """Read a schema from an entry of ``categories`` in a COCO keypoint JSON.

        COCO defines ``keypoints`` (names) and ``skeleton`` (1-based index pairs). Two optional
        keys are ours: ``flip_pairs`` (name pairs; else derived from the names) and ``oks_sigmas``
        (else COCO's where the names are COCO's, else estimated). Other tools write ``flip_pairs``
        as pairs of numbers from 0 or 1, as ``{name: name}``, as "name,name", as the mirror image
        of each keypoint in turn, or all of it as one text; these are read as well.

        Raises:
            ValueError: if the category has no keypoints or one of the lists is inconsistent.
        """
        names = tuple(str(name) for name in category.get("keypoints") or ())
        if not names:
            raise ValueError(f"category {category.get('name')!r} has no list of keypoint names")
        return cls(
            names=names,
            flip_pairs=read_flip_pairs(names, category),
            skeleton=_read_skeleton(names, category),
            oks_sigmas=tuple(category.get("oks_sigmas") or _known_sigmas(names)),
        )


def _known_sigmas(names: tuple[str, ...]) -> tuple[float, ...]:
    return COCO_PERSON.oks_sigmas if names == COCO_PERSON.names else ()


def _read_skeleton(
    names: tuple[str, ...], category: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    lines = [(int(a), int(b)) for a, b in category.get("skeleton") or ()]
    ends = [end for line in lines for end in line]
    first = 0 if 0 in ends else 1  # COCO counts from 1; a zero shows that this file does not
    if any(not 0 <= end - first < len(names) for end in ends):
        # The list is that of another skeleton: lines that happen to fit would be wrong as well.
        logger.warning(
            "Category %r: the skeleton names keypoints outside 1..%d and is not used.",
            category.get("name"),
            len(names),
        )
        return ()
    return tuple((names[a - first], names[b - first]) for a, b in lines)


_COCO_PAIRS = tuple(
    (f"left_{part}", f"right_{part}")
    for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
COCO_PERSON = KeypointSchema(
    names=("nose", *(name for pair in _COCO_PAIRS for name in pair)),
    flip_pairs=_COCO_PAIRS,
    skeleton=(
        ("left_ankle", "left_knee"),
        ("left_knee", "left_hip"),
        ("right_ankle", "right_knee"),
        ("right_knee", "right_hip"),
        ("left_hip", "right_hip"),
        ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"),
        ("left_shoulder", "right_shoulder"),
        ("left_shoulder", "left_elbow"),
        ("right_shoulder", "right_elbow"),
        ("left_elbow", "left_wrist"),
        ("right_elbow", "right_wrist"),
        ("left_eye", "right_eye"),
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "left_ear"),
        ("right_eye", "right_ear"),
        ("left_ear", "left_shoulder"),
        ("right_ear", "right_shoulder"),
    ),
    # https://cocodataset.org/#keypoints-eval, section 1.3
    oks_sigmas=(
        0.026,
        *(0.025, 0.025),
        *(0.035, 0.035),
        *(0.079, 0.079),
        *(0.072, 0.072),
        *(0.062, 0.062),
        *(0.107, 0.107),
        *(0.087, 0.087),
        *(0.089, 0.089),
    ),
)
"""COCO's person: 17 keypoints, 8 pairs, 19 lines."""
