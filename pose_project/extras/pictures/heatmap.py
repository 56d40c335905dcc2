"""Where a model thinks that a keypoint is: its heatmaps over the photo."""

import cv2
import numpy as np
from matplotlib import colormaps

_COLOURS = "inferno"
_STRONGEST = 0.85  # of the overlay; the photo shines through everywhere
_FAINTEST = 0.02  # of a person's maximum; below it the photo is left as it is


def overlay_heatmap(
    image_rgb: np.ndarray, boxes: np.ndarray, keypoint_logits: np.ndarray, scale: float = 1.0
) -> np.ndarray:
    """Return a photo under the distributions of one keypoint, of everyone.

    Each person's softmax over locations is drawn in its box, relative to its own maximum; where
    boxes overlap the higher one shows. Darkened photo: improbable; yellow: as probable as can be.

    Args:
        image_rgb: (H, W, 3) uint8; not changed.
        boxes: (N, 4) XYXY_ABS, continuous image coordinates in pixels.
        keypoint_logits: (N, S, S) raw output of the head for this keypoint.
        scale: side length of the returned picture over that of the photo.

    Returns:
        (round(H scale), round(W scale), 3) uint8 RGB.
    """
    height, width = (round(side * scale) for side in image_rgb.shape[:2])
    shares = np.zeros((height, width), np.float32)
    for box, logits in zip(boxes * scale, keypoint_logits, strict=True):
        _put(shares, box, np.exp(logits - logits.max()).astype(np.float32))
    kind = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    image = cv2.resize(image_rgb, (width, height), interpolation=kind).astype(np.float32)
    colours = 255 * colormaps[_COLOURS](shares)[..., :3]
    opacity = _STRONGEST * np.sqrt(shares)[..., None] * (shares > _FAINTEST)[..., None]
    return ((1 - opacity) * image + opacity * colours).round().clip(0, 255).astype(np.uint8)


def _put(shares: np.ndarray, box: np.ndarray, share: np.ndarray) -> None:
    """Enlarge an (S, S) map to its box and keep the higher values, in place."""
    side = share.shape[0]
    height, width = shares.shape
    x0, y0, x1, y1 = box
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    right, bottom = min(int(np.ceil(x1)), width), min(int(np.ceil(y1)), height)
    if right <= left or bottom <= top:
        return
    # the cell under the centre of each pixel, counted from the centre of the first cell
    columns = (np.arange(left, right) + 0.5 - x0) * side / max(x1 - x0, 1) - 0.5
    rows = (np.arange(top, bottom) + 0.5 - y0) * side / max(y1 - y0, 1) - 0.5
    at_x, at_y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    enlarged = cv2.remap(share, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    region = shares[top:bottom, left:right]
    np.maximum(region, enlarged, out=region)
