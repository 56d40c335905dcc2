"""Many pictures on one page."""

import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_DPI = 100
_TITLE_PX = 24


def draw_sheet(
    pictures: list[tuple[str, np.ndarray]], columns: int = 4, panel_px: int = 320
) -> np.ndarray:
    """Return a page of pictures, each under its title and in its own proportions.

    Args:
        pictures: titles and (H, W, 3) uint8 RGB of any sizes, one at least.
        columns: panels in a row.
        panel_px: width of a panel; its height is three quarters of it.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    rows = math.ceil(len(pictures) / columns)
    width, height = columns * panel_px, rows * (panel_px * 3 // 4 + _TITLE_PX)
    # The hundredth keeps matplotlib from rounding the size down.
    figure = Figure(figsize=((width + 0.01) / _DPI, (height + 0.01) / _DPI), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03)
    panels = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes in panels:
        axes.set_axis_off()
    for axes, (title, picture) in zip(panels, pictures, strict=False):
        axes.imshow(picture, interpolation="antialiased")
        axes.set_title(title, fontsize=8)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
