"""Videos of synthetic people who walk to and fro and pass each other: who is where is known.

Coordinates are those of the frame in pixels, continuous. Letters: P people, K = 17 keypoints.
"""

from dataclasses import dataclass

import numpy as np

from pose_project.extras.synthetic.backdrop import finish_photo, sample_backdrop
from pose_project.extras.synthetic.body_poses import walking_pose
from pose_project.extras.synthetic.figure import paint_figure
from pose_project.extras.synthetic.outfit import Outfit, sample_outfit
from pose_project.extras.synthetic.people import Body, Proportions, build_body, sample_proportions
from pose_project.extras.synthetic.scene import Layer, blend

VIDEO_WH = (480, 320)
_STATURE_PX = (90.0, 150.0)
_PERIOD_FRAMES = (140.0, 320.0)  # there and back: at most 9 px a frame
_STEPS_FRAMES = (18.0, 30.0)  # two steps
_MAX_TURN_DEG = 35.0
_CAMERA_PITCH_DEG = 5.0
_MARGIN = 0.06  # of a body around its joints, in statures
_ANY_HEIGHT_PX = (0.0, np.inf)
_MAX_BLUR_PX, _MAX_NOISE = 0.5, 4.0


@dataclass(frozen=True)
class _Walker:
    proportions: Proportions
    outfit: Outfit
    stature_px: float
    middle: float  # of the way, as a share of the frame's width
    reach: float  # to both sides of it
    hips_y: float  # pixels
    period: float  # frames, there and back
    steps: float  # frames for two steps
    phase: float  # radians

    def body(self, frame: int) -> Body:
        """Return the body, facing where it walks."""
        turn = _MAX_TURN_DEG * np.cos(self._angle(frame))
        pose = walking_pose(2 * np.pi * frame / self.steps + self.phase)
        return build_body(self.proportions, pose, turn, _CAMERA_PITCH_DEG)

    def hips_xy(self, frame: int) -> np.ndarray:
        """Return (2,) pixels: the middle of the hips, which is the origin of the body."""
        x = (self.middle + self.reach * np.sin(self._angle(frame))) * VIDEO_WH[0]
        return np.array([x, self.hips_y])

    def _angle(self, frame: int) -> float:
        return 2 * np.pi * frame / self.period + self.phase


class WalkingVideo:
    """A video that depends on its arguments alone.

    Args:
        seed: of people, clothes, ways and background.
        num_people: P, all in every frame, the nearer ones in front of the others.
    """

    def __init__(self, seed: int, num_people: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self._seed = seed
        self._backdrop = sample_backdrop(rng, VIDEO_WH)
        surroundings = tuple(self._backdrop.mean(axis=(0, 1)).tolist())
        walkers = [_sample_walker(rng, surroundings) for _ in range(num_people)]
        # Whoever stands lower is nearer.
        self._walkers = sorted(walkers, key=lambda each: each.hips_y + each.stature_px / 2)

    def people(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return boxes (P, 4) XYXY and keypoints (P, K, 2), hidden or not, always in one order."""
        points = np.stack(
            [
                each.hips_xy(frame) + each.stature_px * each.body(frame).keypoints[:, :2]
                for each in self._walkers
            ]
        )
        margins = np.array([_MARGIN * each.stature_px for each in self._walkers])[:, None]
        return np.hstack([points.min(axis=1) - margins, points.max(axis=1) + margins]), points

    def picture(self, frame: int) -> np.ndarray:
        """Return the (H, W, 3) uint8 BGR frame."""
        layers = []
        for each in self._walkers:
            figure = paint_figure(each.body(frame), each.outfit, each.stature_px, _ANY_HEIGHT_PX)
            left_hip, right_hip = figure.joints[11, :2], figure.joints[12, :2]
            x, y = np.round(each.hips_xy(frame) - (left_hip + right_hip) / 2).astype(int)
            layers.append(Layer(figure, int(x), int(y)))
        light = np.random.default_rng(self._seed)  # the same in all frames
        return finish_photo(light, blend(self._backdrop, layers), _MAX_BLUR_PX, _MAX_NOISE)


def _sample_walker(rng: np.random.Generator, surroundings: tuple[float, float, float]) -> _Walker:
    stature = rng.uniform(*_STATURE_PX)
    reach = rng.uniform(0.25, 0.4)
    return _Walker(
        sample_proportions(rng),
        sample_outfit(rng, surroundings),
        stature,
        middle=rng.uniform(reach + 0.08, 0.92 - reach),
        reach=reach,
        hips_y=rng.uniform(0.6 * stature, VIDEO_WH[1] - 0.62 * stature),
        period=rng.uniform(*_PERIOD_FRAMES),
        steps=rng.uniform(*_STEPS_FRAMES),
        phase=rng.uniform(0, 2 * np.pi),
    )
