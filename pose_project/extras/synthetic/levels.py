"""How hard the synthetic photos are: every number that the two levels differ in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """The parameters of one level of difficulty; shares and chances are in [0, 1].

    Args:
        height_px: shortest and tallest drawn figure (top to bottom of the whole, posed figure,
            before anything hides it), in pixels.
        people_weights: relative frequency of photos with 1, 2, 3, ... people.
        empty_share: photos without people.
        portrait_share: photos of 240x320 instead of 320x240 (width x height).
        back_share: people seen from behind.
        max_turn_deg: how far a person may be turned away from the front or back view.
        unusual_share: poses from the table of unusual ones.
        beside_share: chance that a person is put close beside an earlier one.
        max_box_iou: overlap of two people's boxes above which another place is tried for all
            others.
        truncated_share: chance that a person is put across the border of the photo.
        occluder_share: chance, per person, of an object in front.
        crowd_share: photos with a clump of small far people, annotated as one crowd region.
        min_visible_share: part of a person's figure that has to be seen, else the person is moved.
        min_visible_px: the same as an area in pixels.
        max_blur_px: largest standard deviation of the camera's blur.
        max_noise: largest standard deviation of the sensor's noise, in grey levels of 0..255.
    """

    height_px: tuple[float, float]
    people_weights: tuple[float, ...]
    empty_share: float
    portrait_share: float
    back_share: float
    max_turn_deg: float
    unusual_share: float
    beside_share: float
    max_box_iou: float
    truncated_share: float
    occluder_share: float
    crowd_share: float
    min_visible_share: float
    min_visible_px: int
    max_blur_px: float
    max_noise: float


LEVELS: dict[str, Level] = {
    "demo": Level(
        height_px=(60.0, 200.0),
        people_weights=(0.35, 0.35, 0.2, 0.1),
        empty_share=0.02,
        portrait_share=0.12,
        back_share=0.3,
        max_turn_deg=30.0,
        unusual_share=0.04,
        beside_share=0.06,
        max_box_iou=0.06,
        truncated_share=0.08,
        occluder_share=0.08,
        crowd_share=0.03,
        min_visible_share=0.5,
        min_visible_px=300,
        max_blur_px=0.7,
        max_noise=5.0,
    ),
    "full": Level(
        height_px=(30.0, 300.0),
        people_weights=(0.24, 0.22, 0.2, 0.14, 0.09, 0.06, 0.03, 0.02),
        empty_share=0.02,
        portrait_share=0.12,
        back_share=0.3,
        max_turn_deg=60.0,
        unusual_share=0.12,
        beside_share=0.09,
        max_box_iou=0.06,
        truncated_share=0.12,
        occluder_share=0.1,
        crowd_share=0.08,
        min_visible_share=0.12,
        min_visible_px=60,
        max_blur_px=1.2,
        max_noise=10.0,
    ),
}
"""``demo`` is what a small model can learn in minutes; ``full`` is as crowded as real photos."""
