"""The poses that synthetic people take: ranges of joint angles, in degrees.

``swing`` turns a limb forwards (negative: backwards), ``spread`` turns it outwards, away from the
body's middle, ``bend`` is the flexion of its elbow or knee. An arm hanging down has all three 0.
"""

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]

# Which way an elbow bends, in the person's own axes (outwards, down, forwards).
_FORWARDS = (-0.35, -0.1, 1.0)
_INWARDS = (-1.0, 0.1, 0.45)
_UPWARDS = (-0.2, -1.0, 0.2)
# A knee bends backwards.
_BACKWARDS = (0.0, 0.0, -1.0)


@dataclass(frozen=True)
class LimbRange:
    """Ranges of the angles of one arm or leg, and the way its elbow or knee bends."""

    swing: Range
    spread: Range
    bend: Range
    bend_towards: tuple[float, float, float] = _FORWARDS


@dataclass(frozen=True)
class PoseRange:
    """Ranges of a whole pose; which side takes the first arm and leg is drawn by lot."""

    arms: tuple[LimbRange, LimbRange]
    legs: tuple[LimbRange, LimbRange]
    lean: Range = (-3, 7)


@dataclass(frozen=True)
class LimbAngles:
    """The angles of one arm or leg, in degrees, and the way its elbow or knee bends."""

    swing: float
    spread: float
    bend: float
    bend_towards: tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """The angles of one person in degrees; of ``arms`` and ``legs`` the left one comes first."""

    arms: tuple[LimbAngles, LimbAngles]
    legs: tuple[LimbAngles, LimbAngles]
    lean: float
    tilt: float
    twist: float
    head_turn: float
    head_nod: float


def _leg(swing: Range, spread: Range, bend: Range) -> LimbRange:
    return LimbRange(swing, spread, bend, _BACKWARDS)


_HANGING = LimbRange((-10, 18), (6, 20), (5, 35))
_AKIMBO = LimbRange((-14, 2), (38, 50), (85, 105), _INWARDS)
_SIDEWAYS = LimbRange((-5, 15), (60, 100), (0, 40))
_RAISED = LimbRange((0, 15), (125, 165), (5, 45), _UPWARDS)
_WAVING = LimbRange((0, 15), (70, 100), (60, 115), _UPWARDS)
_PHONING = LimbRange((30, 50), (15, 35), (125, 140), _UPWARDS)
_REACHING = LimbRange((55, 95), (5, 30), (5, 50), _UPWARDS)
_CARRYING = LimbRange((0, 20), (8, 20), (75, 105))

_STRAIGHT = _leg((-4, 6), (1, 9), (0, 8))
_ASTRIDE = _leg((-4, 6), (12, 24), (0, 10))
_STEP_AHEAD = _leg((14, 30), (0, 6), (4, 18))
_STEP_BEHIND = _leg((-24, -8), (0, 6), (8, 30))
_SQUAT = _leg((75, 105), (22, 42), (95, 125))
_SEATED = _leg((76, 92), (5, 22), (78, 96))

_USUAL = (
    (0.16, PoseRange((_HANGING, _HANGING), (_STRAIGHT, _STRAIGHT))),
    (0.08, PoseRange((_HANGING, _HANGING), (_ASTRIDE, _ASTRIDE))),
    (0.07, PoseRange((_AKIMBO, _AKIMBO), (_STRAIGHT, _ASTRIDE))),
    (0.06, PoseRange((_AKIMBO, _HANGING), (_STRAIGHT, _STRAIGHT))),
    (0.06, PoseRange((_PHONING, _HANGING), (_STRAIGHT, _STRAIGHT))),
    (0.07, PoseRange((_WAVING, _HANGING), (_STRAIGHT, _ASTRIDE))),
    (0.05, PoseRange((_CARRYING, _CARRYING), (_STRAIGHT, _STRAIGHT))),
    (0.07, PoseRange((_SIDEWAYS, _SIDEWAYS), (_ASTRIDE, _ASTRIDE))),
    (0.07, PoseRange((_RAISED, _RAISED), (_ASTRIDE, _ASTRIDE))),
    (0.05, PoseRange((_RAISED, _HANGING), (_STRAIGHT, _STRAIGHT))),
    (
        0.12,  # walking: the arms swing against the legs
        PoseRange(
            (LimbRange((-30, -12), (5, 14), (8, 30)), LimbRange((14, 32), (5, 14), (15, 45))),
            (_STEP_AHEAD, _STEP_BEHIND),
            (0, 8),
        ),
    ),
    (
        0.08,  # running
        PoseRange(
            (LimbRange((-50, -25), (8, 22), (75, 105)), LimbRange((20, 45), (8, 22), (80, 110))),
            (_leg((38, 65), (0, 8), (50, 85)), _leg((-28, -8), (0, 8), (25, 80))),
            (6, 16),
        ),
    ),
    (0.03, PoseRange((_REACHING, _REACHING), (_SQUAT, _SQUAT), (10, 30))),
    (
        0.03,  # sitting, the hands on the thighs
        PoseRange(
            (LimbRange((15, 35), (4, 14), (35, 60)), LimbRange((15, 35), (4, 14), (35, 60))),
            (_SEATED, _SEATED),
            (-4, 8),
        ),
    ),
)

_KICKING = _leg((20, 45), (45, 75), (0, 25))
_FLYING = _leg((-5, 30), (35, 55), (10, 60))

_UNUSUAL = (
    (0.3, PoseRange((_REACHING, _REACHING), (_STRAIGHT, _ASTRIDE), (45, 75))),  # bent over
    (0.3, PoseRange((_RAISED, _SIDEWAYS), (_KICKING, _STRAIGHT))),
    (0.2, PoseRange((_RAISED, _RAISED), (_FLYING, _FLYING))),  # a star jump
    (
        0.2,  # a lunge
        PoseRange(
            (_SIDEWAYS, _RAISED),
            (_leg((60, 80), (5, 20), (60, 90)), _leg((-40, -25), (3, 12), (5, 30))),
            (0, 15),
        ),
    ),
)


def sample_pose(rng: np.random.Generator, unusual_share: float) -> Pose:
    """Draw a pose from the table of usual or, with the given chance, of unusual poses."""
    table = _UNUSUAL if rng.random() < unusual_share else _USUAL
    weights = np.array([weight for weight, _ in table])
    ranges = table[rng.choice(len(table), p=weights / weights.sum())][1]
    arms = _sample_limb(rng, ranges.arms[0]), _sample_limb(rng, ranges.arms[1])
    legs = _sample_limb(rng, ranges.legs[0]), _sample_limb(rng, ranges.legs[1])
    swapped = rng.random() < 0.5
    return Pose(
        arms=arms[::-1] if swapped else arms,
        legs=legs[::-1] if swapped else legs,
        lean=rng.uniform(*ranges.lean),
        tilt=rng.normal(0, 4),
        twist=rng.normal(0, 6),
        head_turn=float(np.clip(rng.normal(0, 14), -35, 35)),
        head_nod=rng.uniform(-8, 14),
    )


def walking_pose(phase: float) -> Pose:
    """Return the pose at a phase of a walk, in radians; two steps take one turn."""
    stride = float(np.sin(phase))
    legs = (_walking_leg(stride, np.cos(phase)), _walking_leg(-stride, -np.cos(phase)))
    # the arms swing against the legs
    arms = (_walking_arm(-stride), _walking_arm(stride))
    return Pose(arms, legs, lean=3, tilt=0, twist=4 * stride, head_turn=0, head_nod=0)


def _walking_arm(stride: float) -> LimbAngles:
    return LimbAngles(24 * stride, 9, 22 + 10 * stride, _FORWARDS)


def _walking_leg(stride: float, speed: float) -> LimbAngles:
    # the knee of the leg that comes forwards is bent
    return LimbAngles(22 * stride, 3, 8 + 34 * max(0.0, float(speed)), _BACKWARDS)


def _sample_limb(rng: np.random.Generator, ranges: LimbRange) -> LimbAngles:
    return LimbAngles(
        swing=rng.uniform(*ranges.swing),
        spread=rng.uniform(*ranges.spread),
        bend=rng.uniform(*ranges.bend),
        bend_towards=ranges.bend_towards,
    )
