"""Bodies in three dimensions: proportions, and the joints that a pose gives them.

Two frames are used, both right-handed up to the sign of depth and measured in statures:

* *camera*: x to the right of the photo, y down, z towards the camera (orthographic, so a photo
  shows x and y and z only says what hides what);
* *own* axes of a person: (to the person's left, down, forwards).
"""

from dataclasses import dataclass

import numpy as np

from pose_project.extras.synthetic.body_poses import LimbAngles, Pose
from pose_project.structures.schema import COCO_PERSON

SIDES = ("left", "right")
NOSE_ON_HEAD = (0.0, 0.2, 0.98)
EYE_ON_HEAD = (0.40, -0.08, 0.91)
EAR_ON_HEAD = (1.02, 0.05, -0.08)


@dataclass(frozen=True)
class Proportions:
    """Lengths of one body in statures; ``girth`` multiplies every thickness.

    Heads are a little larger than life, so that a face can be read on a person of 100 pixels.
    """

    torso: float
    half_shoulders: float
    half_hips: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    head_radii: tuple[float, float, float]
    girth: float


@dataclass(frozen=True)
class Body:
    """A posed body in camera coordinates, in statures; the origin is between the hips.

    Frames are (3, 3) with the person's left, down and forward directions as columns. Pairs have
    the left side first.

    Args:
        keypoints: (17, 3) in COCO's order.
        knuckles, heels, toes: (2, 3), the ends of the drawn hands and feet.
        neck: (3,), the middle of the shoulders.
        head: (3,), the middle of the head.
        chest_frame, pelvis_frame, head_frame: (3, 3).
        proportions: the lengths that the body was built from.
    """

    keypoints: np.ndarray
    knuckles: np.ndarray
    heels: np.ndarray
    toes: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    chest_frame: np.ndarray
    pelvis_frame: np.ndarray
    head_frame: np.ndarray
    proportions: Proportions


def sample_proportions(rng: np.random.Generator) -> Proportions:
    """Draw an adult's proportions."""
    lengths = np.array([0.285, 0.118, 0.07, 0.165, 0.145, 0.245, 0.24]) * rng.uniform(0.94, 1.06, 7)
    head_scale = rng.uniform(0.93, 1.07)
    return Proportions(
        *(float(length) for length in lengths),
        head_radii=(0.064 * head_scale, 0.084 * head_scale, 0.07 * head_scale),
        girth=rng.uniform(0.92, 1.25),
    )


def sample_turn(rng: np.random.Generator, back_share: float, max_turn_deg: float) -> float:
    """Draw the direction a person faces, in degrees: 0 towards the camera, 90 to photo right."""
    turn = rng.uniform(-max_turn_deg, max_turn_deg)
    return turn + 180.0 if rng.random() < back_share else turn


def build_body(proportions: Proportions, pose: Pose, turn: float, camera_pitch: float) -> Body:
    """Place the joints of a body.

    Args:
        proportions: lengths in statures.
        pose: joint angles in degrees.
        turn: the direction the person faces, in degrees; 0 towards the camera, 90 to the right.
        camera_pitch: degrees by which the camera looks down.
    """
    size = proportions
    pelvis = _about_left(camera_pitch) @ _about_down(turn)
    chest = pelvis @ _about_left(pose.lean) @ _about_forward(pose.tilt) @ _about_down(pose.twist)
    head_frame = chest @ _about_left(-0.6 * pose.lean + pose.head_nod) @ _about_down(pose.head_turn)
    neck = -size.torso * chest[:, 1]
    head = neck - 0.045 * chest[:, 1] - 0.85 * size.head_radii[1] * head_frame[:, 1]

    points: dict[str, np.ndarray] = {"nose": _on_head(head, head_frame, size, NOSE_ON_HEAD)}
    knuckles, heels, toes = [], [], []
    for side, sign, arm, leg in zip(SIDES, (1.0, -1.0), pose.arms, pose.legs, strict=True):
        mirror = np.array([sign, 1.0, 1.0])
        points[f"{side}_eye"] = _on_head(head, head_frame, size, mirror * EYE_ON_HEAD)
        points[f"{side}_ear"] = _on_head(head, head_frame, size, mirror * EAR_ON_HEAD)

        shoulder = neck + chest @ (mirror * (size.half_shoulders, 0.012, 0.0))
        upper, lower = (chest @ (mirror * v) for v in _limb_directions(arm))
        elbow = shoulder + size.upper_arm * upper
        wrist = elbow + size.forearm * lower
        knuckles.append(wrist + 0.05 * lower)
        points |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": wrist}

        hip = pelvis @ (mirror * (size.half_hips, 0.0, 0.0))
        upper, lower = (pelvis @ (mirror * v) for v in _limb_directions(leg))
        knee = hip + size.thigh * upper
        ankle = knee + size.shin * lower
        points |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": ankle}
        sole, ahead = _foot_directions(lower, pelvis @ (mirror * (0.3, 0.0, 1.0)))
        heels.append(ankle + 0.026 * sole - 0.018 * ahead)
        toes.append(ankle + 0.034 * sole + 0.092 * ahead)
    return Body(
        keypoints=np.array([points[name] for name in COCO_PERSON.names]),
        knuckles=np.array(knuckles),
        heels=np.array(heels),
        toes=np.array(toes),
        neck=neck,
        head=head,
        chest_frame=chest,
        pelvis_frame=pelvis,
        head_frame=head_frame,
        proportions=size,
    )


def _on_head(
    head: np.ndarray, head_frame: np.ndarray, size: Proportions, place: np.ndarray | tuple
) -> np.ndarray:
    """Return the camera position of a place given in radii of the head's ellipsoid."""
    return head + head_frame @ (np.asarray(size.head_radii) * place)


def _limb_directions(angles: LimbAngles) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors along the halves of a limb as (outwards, down, forwards)."""
    swing, spread, bend = np.radians([angles.swing, angles.spread, angles.bend])
    upper = np.array(
        [np.sin(spread), np.cos(spread) * np.cos(swing), np.cos(spread) * np.sin(swing)]
    )
    towards = np.asarray(angles.bend_towards)
    towards = towards - (towards @ upper) * upper
    towards /= np.linalg.norm(towards)
    return upper, np.cos(bend) * upper + np.sin(bend) * towards


def _foot_directions(shin: np.ndarray, ahead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit directions from the ankle to the sole and to the toes, at a right angle."""
    ahead = ahead - 0.85 * (ahead @ shin) * shin
    ahead = ahead / np.linalg.norm(ahead)
    sole = shin - (shin @ ahead) * ahead
    return sole / np.linalg.norm(sole), ahead


def _about_left(degrees: float) -> np.ndarray:
    """Rotate about the left axis: positive leans the upper body forwards."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])


def _about_down(degrees: float) -> np.ndarray:
    """Rotate about the vertical: positive turns the front to the person's left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _about_forward(degrees: float) -> np.ndarray:
    """Rotate about the forward axis: positive leans the upper body to the person's left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
