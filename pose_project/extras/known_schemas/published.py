"""The keypoints of published datasets, whose files often do not list them.

Left and right are the person's own. Points that a standard only numbers are named by their number:
``face_0``, ``wflw_0``. OKS sigmas are those that the dataset's authors evaluate with; without such,
they are estimated as for any other dataset. COCO-WholeBody's sigmas of face and hands are shares of
the *person's* size, so they are not those of datasets whose boxes are faces or hands.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pose_project.structures.flip_pairs import infer_flip_pairs
from pose_project.structures.schema import COCO_PERSON, KeypointSchema

_Lines = tuple[tuple[str, str], ...]


class KnownSchema(NamedTuple):
    """The keypoints of a published dataset.

    Attributes:
        schema: names, mirror pairs, skeleton and sigmas.
        category: what an instance is.
        source: where names, order and sigmas are published.
    """

    schema: KeypointSchema
    category: str
    source: str


def _chain(*names: str) -> _Lines:
    return tuple(zip(names, names[1:], strict=False))


def _ring(names: Sequence[str]) -> _Lines:
    return _chain(*names, names[0])


def _both(*lines: tuple[str, str]) -> _Lines:
    """Return lines on both sides; ``*`` stands for the side."""
    return tuple(
        (a.replace("*", side), b.replace("*", side)) for side in ("left", "right") for a, b in lines
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ARM = (("*_shoulder", "*_elbow"), ("*_elbow", "*_wrist"))
_LEG = (("*_hip", "*_knee"), ("*_knee", "*_ankle"))
_FEET = _both(("*_ankle", "*_big_toe"), ("*_ankle", "*_small_toe"), ("*_ankle", "*_heel"))

# A hand: the wrist, then each finger from its root to its tip.
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_HAND = ("wrist", *(f"{finger}{joint}" for finger in _FINGERS for joint in range(1, 5)))
_HAND_LINES = tuple(
    line for finger in _FINGERS for line in _chain("wrist", *(f"{finger}{j}" for j in range(1, 5)))
)
_HANDS = tuple(f"{side}_hand_{name}" for side in ("left", "right") for name in _HAND)
_HANDS_LINES = _both(*((f"*_hand_{a}", f"*_hand_{b}") for a, b in _HAND_LINES))
_HAND_SIGMAS = (
    *(0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024),
    *(0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031),
)

# A face of 68 points, numbered from the person's right: jaw, brows, nose, eyes, mouth.
_FACE = tuple(f"face_{number}" for number in range(68))
_FACE_MIRROR = (  # left, its mirror image, and so many pairs towards each other
    *((16, 0, 8), (26, 17, 5), (35, 31, 2), (45, 36, 4), (47, 40, 2)),
    *((54, 48, 3), (55, 59, 2), (64, 60, 2), (65, 67, 1)),
)
_FACE_LINES = (
    *(
        line
        for first, end in ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36))
        for line in _chain(*_FACE[first:end])
    ),
    *(
        line
        for first, end in ((36, 42), (42, 48), (48, 60), (60, 68))
        for line in _ring(_FACE[first:end])
    ),
)
_FACE_SIGMAS = (
    *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020),
    *(0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045),
    *(0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015),
    *(0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010),
    *(0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034),
    *(0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007),
    *(0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008),
)

# WFLW: 98 points in the same order; brows have an upper and a lower edge, pupils come last.
_WFLW = tuple(f"wflw_{number}" for number in range(98))
_WFLW_MIRROR = (
    *((32, 0, 16), (46, 33, 5), (50, 38, 4), (59, 55, 2), (72, 60, 5), (75, 65, 3)),
    *((82, 76, 3), (83, 87, 2), (92, 88, 2), (93, 95, 1), (97, 96, 1)),
)
_WFLW_LINES = (
    *(line for first, end in ((0, 33), (51, 55), (55, 60)) for line in _chain(*_WFLW[first:end])),
    *(
        line
        for first, end in ((33, 42), (42, 51), (60, 68), (68, 76), (76, 88), (88, 96))
        for line in _ring(_WFLW[first:end])
    ),
)


def _mirror(names: Sequence[str], runs: Sequence[tuple[int, int, int]]) -> _Lines:
    """Return the (left, right) name pairs of numbered points."""
    return tuple(
        (names[left + step], names[right - step])
        for left, right, count in runs
        for step in (range(count) if left < right else range(0, -count, -1))
    )


def _person(
    names: tuple[str, ...],
    skeleton: _Lines,
    sigmas: tuple[float, ...] = (),
    face: _Lines = (),
) -> KeypointSchema:
    """Return a schema whose pairs the names spell out, but for those of a face."""
    return KeypointSchema(names, (*infer_flip_pairs(names), *face), skeleton, sigmas)


_COCO_SIGMAS = COCO_PERSON.oks_sigmas

_HALPE_26 = (
    *COCO_PERSON.names,
    *_words("head neck hip left_big_toe right_big_toe left_small_toe right_small_toe"),
    *_words("left_heel right_heel"),
)
_HALPE_LINES = (
    *_both(*_ARM, *_LEG, ("neck", "*_shoulder"), ("hip", "*_hip")),
    *_both(("nose", "*_eye"), ("*_eye", "*_ear")),
    *(("head", "nose"), ("head", "neck"), ("neck", "hip")),
    *_FEET,
)
_HALPE_SIGMAS = (*_COCO_SIGMAS, *(0.080,) * 3, *(0.089,) * 6)

_MPII = (
    *_words("right_ankle right_knee right_hip left_hip left_knee left_ankle"),
    *_words("pelvis thorax upper_neck head_top"),
    *_words("right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist"),
)
_AIC = (
    *_words("right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist"),
    *_words("right_hip right_knee right_ankle left_hip left_knee left_ankle head_top neck"),
)
_AIC_SIGMAS = (
    *(0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144),
    *(0.03909642, 0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081),
    *(0.01291456, 0.01236173),
)
_CROWDPOSE = (*COCO_PERSON.names[5:], "head", "neck")
_AP10K = (
    *_words("left_eye right_eye nose neck root_of_tail"),
    *_words("left_shoulder left_elbow left_front_paw right_shoulder right_elbow right_front_paw"),
    *_words("left_hip left_knee left_back_paw right_hip right_knee right_back_paw"),
)
_AP10K_LINES = (
    ("left_eye", "right_eye"),
    *_both(("*_eye", "nose"), ("neck", "*_shoulder"), ("root_of_tail", "*_hip")),
    *_both(("*_shoulder", "*_elbow"), ("*_elbow", "*_front_paw")),
    *_both(("*_hip", "*_knee"), ("*_knee", "*_back_paw")),
    *_chain("nose", "neck", "root_of_tail"),
)
_AP10K_SIGMAS = (
    *(0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062),
    *(0.107, 0.087, 0.089, 0.107, 0.087, 0.089),
)
_BODY_14 = _both(*_ARM, *_LEG, ("neck", "*_shoulder"), ("*_shoulder", "*_hip"))

KNOWN_SCHEMAS = {
    "coco": KnownSchema(COCO_PERSON, "person", "https://cocodataset.org/#keypoints-eval"),
    "coco_wholebody": KnownSchema(
        _person(
            (
                *COCO_PERSON.names,
                *_words("left_big_toe left_small_toe left_heel"),
                *_words("right_big_toe right_small_toe right_heel"),
                *(*_FACE, *_HANDS),
            ),
            (*COCO_PERSON.skeleton, *_FEET, *_FACE_LINES, *_HANDS_LINES),
            (
                *(*_COCO_SIGMAS, 0.068, 0.066, 0.066, 0.092, 0.094, 0.094),
                *(*_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
            ),
            _mirror(_FACE, _FACE_MIRROR),
        ),
        "person",
        "https://github.com/jin-s13/COCO-WholeBody (Jin et al., ECCV 2020): data_format.md, "
        "evaluation/myeval_wholebody.py",
    ),
    "halpe26": KnownSchema(
        _person(_HALPE_26, _HALPE_LINES, _HALPE_SIGMAS),
        "person",
        "https://github.com/Fang-Haoshu/Halpe-FullBody: README.md, halpecocotools/cocoeval.py",
    ),
    "halpe136": KnownSchema(
        _person(
            (*_HALPE_26, *_FACE, *_HANDS),
            (*_HALPE_LINES, *_FACE_LINES, *_HANDS_LINES),
            (*_HALPE_SIGMAS, *(0.015,) * 110),
            _mirror(_FACE, _FACE_MIRROR),
        ),
        "person",
        "as halpe26; faces are numbered as those of 300W",
    ),
    "crowdpose": KnownSchema(
        _person(
            _CROWDPOSE,
            (*_BODY_14, ("head", "neck"), ("left_hip", "right_hip")),
            (*_COCO_SIGMAS[5:], 0.079, 0.079),
        ),
        "person",
        "https://github.com/Jeff-sjtu/CrowdPose (Li et al., CVPR 2019): its JSON files, "
        "crowdposetools/cocoeval.py",
    ),
    "aic": KnownSchema(
        _person(_AIC, (*_BODY_14, ("head_top", "neck"), ("left_hip", "right_hip")), _AIC_SIGMAS),
        "person",
        "https://github.com/AIChallenger/AI_Challenger_2017: keypoint_eval.py",
    ),
    "mpii": KnownSchema(
        _person(
            _MPII,
            (
                *_both(*_ARM, *_LEG, ("thorax", "*_shoulder"), ("pelvis", "*_hip")),
                *_chain("pelvis", "thorax", "upper_neck", "head_top"),
            ),
        ),
        "person",
        "http://human-pose.mpi-inf.mpg.de (Andriluka et al., CVPR 2014), which scores with PCKh",
    ),
    "ap10k": KnownSchema(
        _person(_AP10K, _AP10K_LINES, _AP10K_SIGMAS),
        "animal",
        "https://github.com/AlexTheBad/AP-10K (Yu et al., NeurIPS 2021): README.md, "
        "configs/_base_/datasets/ap10k.py",
    ),
    "hand21": KnownSchema(
        KeypointSchema(_HAND, (), _HAND_LINES),
        "hand",
        "the order of OneHand10K, FreiHAND, Panoptic and COCO-WholeBody",
    ),
    "wflw": KnownSchema(
        KeypointSchema(_WFLW, _mirror(_WFLW, _WFLW_MIRROR), _WFLW_LINES),
        "face",
        "https://wywu.github.io/projects/LAB/WFLW.html (Wu et al., CVPR 2018)",
    ),
    "300w": KnownSchema(
        KeypointSchema(_FACE, _mirror(_FACE, _FACE_MIRROR), _FACE_LINES),
        "face",
        "https://ibug.doc.ic.ac.uk/resources/300-W (Sagonas et al., ICCV-W 2013)",
    ),
}
"""By the name that ``custom.schema`` and ``--schema`` take."""
