"""Ground truth beside predictions, in one picture."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from detectron2.structures import Instances
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pose_project.structures import KeypointSchema
from pose_project.visualization.pose_visualizer import PoseVisualizer

_SMALLEST_PANEL_PX = 480  # a smaller photo is enlarged, or its labels would hide the people
_LARGEST_ENLARGEMENT = 4
_DPI = 100
_GLYPH_ASPECT = 0.67  # width of a letter over the size of its font, at most


def draw_side_by_side(
    image_rgb: np.ndarray,
    ground_truth: dict[str, Any],
    instances: Instances,
    schema: KeypointSchema,
    score_threshold: float = 0.5,
    keypoint_threshold: float = 0.05,
) -> np.ndarray:
    """Draw a photo twice: its annotations on the left, a model's prediction on the right.

    Args:
        image_rgb: (H, W, 3) RGB in 0..255; not changed.
        ground_truth: the photo's Detectron2 dataset dict, see
            :meth:`PoseVisualizer.draw_dataset_dict`.
        instances: see :meth:`PoseVisualizer.draw_instance_predictions`. If they have masks, those
            of the annotations are drawn as well.
        schema: names, sides and lines of the keypoints.
        score_threshold: predicted instances below this box score are not drawn.
        keypoint_threshold: predicted keypoints are drawn above this score.

    Returns:
        (H', W', 3) uint8 RGB: two panels under their titles, on white. The panels have the photo's
        size; photos with a longer side under 480 pixels are enlarged to that, at most four times.

    Raises:
        InputError: if annotations or predictions have another number of keypoints than the schema.
    """
    scale = panel_scale(image_rgb)
    left = PoseVisualizer(image_rgb, schema, scale)
    right = PoseVisualizer(image_rgb, schema, scale, score_threshold, keypoint_threshold)
    return join_panels(
        {
            "ground truth": left.draw_dataset_dict(
                ground_truth, masks=instances.has("pred_masks")
            ).get_image(),
            "prediction": right.draw_instance_predictions(instances).get_image(),
        }
    )


def panel_scale(image_rgb: np.ndarray) -> float:
    """Return how much to enlarge a photo whose longer side is under 480 pixels: 1 to 4."""
    return float(np.clip(_SMALLEST_PANEL_PX / max(image_rgb.shape[:2]), 1, _LARGEST_ENLARGEMENT))


def join_panels(panels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return panels side by side, each under its title, on white.

    Args:
        panels: {title: (H, W, 3) uint8 RGB}, all of the same size, one at least.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    height, width = next(iter(panels.values())).shape[:2]
    font_px = max(14, round(math.sqrt(height * width) / 32))
    gap = font_px // 2
    longest = max(map(len, panels))
    # the titles need this on a photo of a few pixels
    column_width = max(width, round(longest * font_px * _GLYPH_ASPECT))
    columns = []
    for title, panel in panels.items():
        column = np.full((height, column_width, 3), 255, dtype=np.uint8)
        start = (column_width - width) // 2
        column[:, start : start + width] = panel
        columns += [
            np.vstack([_title_strip(title, column_width, font_px), column]),
            np.full((height + 2 * font_px, gap, 3), 255, dtype=np.uint8),
        ]
    return np.pad(np.hstack(columns), ((0, gap), (gap, 0), (0, 0)), constant_values=255)


def _title_strip(title: str, width: int, font_px: int) -> np.ndarray:
    """Return (2 font_px, width, 3) uint8: a centred line of text on white."""
    height = 2 * font_px
    # The hundredth keeps matplotlib from rounding the size down.
    figure = Figure(figsize=((width + 0.01) / _DPI, (height + 0.01) / _DPI), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    figure.text(0.5, 0.48, title, size=font_px * 72 / _DPI, ha="center", va="center")
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
