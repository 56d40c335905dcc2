"""What people are drawn with: lines, discs, boxes, labels and masks on a photo.

All coordinates are continuous image coordinates of the photo, in pixels; lengths called ``..._px``
are pixels of the *drawn* picture, which is ``scale`` times as large.
"""

import colorsys
import math
from typing import Any

import numpy as np
from detectron2.data.catalog import Metadata
from detectron2.utils.visualizer import GenericMask, Visualizer
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle, Ellipse, Rectangle
from matplotlib.patheffects import withStroke

from pose_project.utils.errors import InputError

# Bright colours with a dark edge can be read on snow and on asphalt.
DARK = np.array([0.06, 0.06, 0.08])
LIGHT = np.array([1.0, 1.0, 1.0])
# matplotlib draws higher numbers later; masks are at 0 and 1, Detectron2's text is at 10
_BOX_LAYER, _POSE_LAYER = 2, 3
_MASK_OPACITY = 0.4
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


class PeopleCanvas(Visualizer):
    """Detectron2's ``Visualizer`` with shapes whose sizes follow the photo and the person.

    Args:
        image_rgb: (H, W, 3) RGB in 0..255; not changed.
        metadata: of the keypoints.
        scale: side length of the drawn picture over that of the photo.
    """

    def __init__(self, image_rgb: np.ndarray, metadata: Metadata, scale: float = 1.0) -> None:
        super().__init__(image_rgb, metadata, scale=scale)
        self._photo_px = math.sqrt(self.output.width * self.output.height) * scale
        if scale != 1:  # the stock "nearest" drops or doubles pixels
            self.output.ax.images[0].set_interpolation("bicubic" if scale > 1 else "hanning")

    def _draw_person_mask(self, mask: Any, person: int, owner: str) -> None:
        """Draw a mask under boxes and poses.

        Args:
            mask: (H, W) bool array, polygons [x0, y0, x1, y1, ...], or an RLE of COCO's.
            person: index of the person, for the colour.
            owner: of the mask, for the message.

        Raises:
            InputError: if it is none of these, or of another size than the photo.
        """
        if isinstance(mask, list) and not mask:  # polygons of someone cropped away
            return
        height, width = self.output.height, self.output.width
        if width == 2:  # GenericMask takes such an array for points
            return
        try:
            if isinstance(mask, dict) and list(mask["size"]) != [height, width]:
                raise ValueError(f"its size is {mask['size']}")
            pixels = GenericMask(mask, height, width).mask
        except Exception as error:  # assertions, and what pycocotools raises on malformed masks
            raise InputError(
                f"{owner}: a mask does not fit the photo of {height} x {width} pixels: {error}"
            ) from error
        # every hue is far from those of the people before
        colour = colorsys.hsv_to_rgb(0.9 + person * _GOLDEN_RATIO, 0.7, 1.0)
        self.draw_binary_mask(pixels, colour, alpha=_MASK_OPACITY, area_threshold=0)

    def _draw_lines(
        self, segments: np.ndarray, colours: list, line_px: float, outline_px: float
    ) -> None:
        """Draw (n, 2, 2) segments in n colours, RGB in 0..1, with a dark outline."""
        for width_px, colour in ((line_px + 2 * outline_px, DARK), (line_px, colours)):
            lines = LineCollection(
                segments,
                colors=colour,
                linewidths=self._points(width_px),
                capstyle="round",
                zorder=_POSE_LAYER,
            )
            self.output.ax.add_collection(lines, autolim=False)

    def _draw_discs(self, xy: np.ndarray, colours: np.ndarray, diameter_px: float) -> None:
        """Draw a disc at each of (n, 2) points in the colours (n, 3) or (3,), RGB in 0..1.

        One circle each: a scatter plot is faster, but rounds every centre to a whole pixel.
        """
        radius = diameter_px / 2 / self.output.scale
        for centre, colour in zip(xy, np.broadcast_to(colours, (len(xy), 3)), strict=True):
            disc = Circle(tuple(centre), radius, facecolor=colour, linewidth=0, zorder=_POSE_LAYER)
            self.output.ax.add_artist(disc)  # unlike add_patch it spends no time on axis limits

    def _draw_ellipses(
        self, xy: np.ndarray, covariances: np.ndarray, colours: np.ndarray, line_px: float
    ) -> None:
        """Draw one sigma around each of (n, 2) points: (n, 2, 2) px^2, colours (n, 3) in 0..1."""
        for centre, covariance, colour in zip(xy, covariances, colours, strict=True):
            if not np.isfinite(covariance).all():
                continue
            variances, axes = np.linalg.eigh(covariance)  # ascending
            height, width = 2 * np.sqrt(np.maximum(variances, 0))
            turn = math.degrees(math.atan2(axes[1, 1], axes[0, 1]))
            for width_px, edge in ((line_px + 2, (*DARK, 0.6)), (line_px, (*colour, 1.0))):
                ellipse = Ellipse(
                    tuple(centre),
                    width,
                    height,
                    angle=turn,
                    fill=False,
                    edgecolor=edge,
                    linewidth=self._points(width_px),
                    zorder=_POSE_LAYER,
                )
                self.output.ax.add_artist(ellipse)

    def _draw_person_box(
        self, box_xyxy: np.ndarray, label: str = "", hatched: bool = False
    ) -> None:
        if not np.isfinite(box_xyxy).all():
            return
        photo_wh = (self.output.width, self.output.height)
        x0, y0, x1, y1 = np.clip(box_xyxy, 0, photo_wh * 2)
        # Whole pixels, and both odd or both even: else snapping puts the outline on one side only.
        width_px = max(1, round(self._photo_px / 500))
        outline = withStroke(linewidth=self._points(width_px + 2), foreground=(*DARK, 0.5))
        self._add_rectangle(
            (x0, y0, x1, y1),
            edgecolor=(*LIGHT, 0.9),
            linewidth=self._points(width_px),
            linestyle="--" if hatched else "-",
            path_effects=[outline],
        )
        if hatched:  # faint, for the people under it; a patch of its own has no dark outline
            style = {"edgecolor": (*LIGHT, 0.4), "linewidth": 0, "hatch": "//"}
            self._add_rectangle((x0, y0, x1, y1), **style)
        if label:
            self._draw_label(label, x0, y0)

    def _add_rectangle(self, box_xyxy: tuple[float, float, float, float], **style: Any) -> None:
        x0, y0, x1, y1 = box_xyxy
        rectangle = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, zorder=_BOX_LAYER, **style)
        self.output.ax.add_patch(rectangle)

    def _draw_label(self, label: str, x0: float, y0: float) -> None:
        """Write on the box's upper left corner, outside of it where the photo has the room."""
        font_px = max(10.0, self._photo_px / 50)
        height = 1.4 * font_px / self.output.scale
        width = 0.65 * len(label) * font_px / self.output.scale
        self.draw_text(
            label,
            (max(0.0, min(x0, self.output.width - width)), max(0.0, y0 - height)),
            font_size=self._points(font_px) / self.output.scale,  # the stock method scales it
            color=LIGHT,
            horizontal_alignment="left",
        )

    def _line_px(self, box_xyxy: np.ndarray) -> float:
        """Return the width of a person's lines: by its size, within limits set by the photo's."""
        sides = np.maximum(box_xyxy[2:] - box_xyxy[:2], 0)
        person_px = math.sqrt(sides[0] * sides[1]) * self.output.scale
        thinnest = max(1.0, self._photo_px / 450)
        return float(np.clip(person_px / 60, thinnest, max(thinnest, self._photo_px / 140)))

    def _points(self, length_px: float) -> float:
        """Return a length in pixels of the drawn picture in matplotlib's unit, 1/72 inch."""
        return length_px * 72 / self.output.dpi
