"""The two coordinate systems of keypoints, and the one place where they are converted.

* **COCO files** (annotations and results) hold *pixel indices*: the centre of the first pixel is
  at 0, x is in [0, W - 1].
* **Detectron2** (dataset dicts, ``Instances``) is *continuous*: pixel i covers [i, i + 1), its
  centre is at i + 0.5, x is in [0, W].

Boxes and polygons are continuous in both.
"""

import numpy as np

PIXEL_CENTRE = 0.5


def continuous_to_coco(keypoints: np.ndarray) -> np.ndarray:
    """Return predicted keypoints in the coordinates of a COCO results file.

    Args:
        keypoints: (R, K, 3) as (x, y, score), continuous image coordinates in pixels; not changed.

    Returns:
        (R, K, 3) as (x, y, score) with x and y as pixel indices.

    >>> continuous_to_coco(np.array([[[10.5, 20.5, 0.9]]])).tolist()
    [[[10.0, 20.0, 0.9]]]
    """
    converted = np.array(keypoints, copy=True)
    converted[..., :2] -= PIXEL_CENTRE
    return converted
